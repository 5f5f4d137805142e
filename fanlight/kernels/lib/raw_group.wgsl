// Formats whose groups are not worth keeping packed between load and use.
alias Raw = Group;
fn raw(g: u32) -> Raw { return unpack(g); }
fn unpack_raw(r: Raw, g: u32) -> Group { return r; }

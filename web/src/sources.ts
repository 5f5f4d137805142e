/** Bytes by range. */
export interface Source {
  readonly name: string;
  readonly size: number;
  read(offset: number, size: number): Promise<Uint8Array<ArrayBuffer>>;
}

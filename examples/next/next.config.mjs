export default {}; // fanlight needs nothing here, be it by Turbopack or (next build --webpack) by webpack

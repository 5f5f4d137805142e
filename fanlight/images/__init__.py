"""From a picture to the tiles that a vision encoder reads: which sizes and crops (preprocessor.py, families.py), and their
pixels (pixels.py natively, web/src/pictures.ts in a page)."""

"""Real faces -> forged faces, one file a family; and the mini FaceForensics++ built from them."""

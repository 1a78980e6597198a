"""Real faces -> forged faces, one file a family, and the miniature FaceForensics++ built from them."""

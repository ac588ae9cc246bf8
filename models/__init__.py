"""Model registry and inference: object detection, OCR and appearance embeddings."""

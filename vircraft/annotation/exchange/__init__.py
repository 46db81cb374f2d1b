"""Labels in and out: COCO, YOLO, splits by clip."""

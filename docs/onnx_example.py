"""Score one face of a picture, or of a video's first frame, with the file that `dfgame export` wrote.

python onnx_example.py DETECTOR.onnx PICTURE_OR_VIDEO LEFT TOP RIGHT BOTTOM   (the face's box in pixels of the picture)
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

if len(sys.argv) != 7:
    sys.exit(__doc__)
detector, picture, *box = sys.argv[1:]
session = onnxruntime.InferenceSession(detector, providers=["CPUExecutionProvider"])
facts = json.loads(session.get_modelmeta().custom_metadata_map["dfgame"])
rule = facts["crop"]
if rule["alignment"] != "none":
    sys.exit("this detector needs faces that are turned upright by their eyes, nose and mouth: a box is not enough")

image = cv2.imread(picture)
if image is None:
    image = cv2.VideoCapture(picture).read()[1]
if image is None:
    sys.exit(f"{picture}: neither a picture nor a video")

# A square around the box's centre, `margin` times its longer side; beyond the picture its border is repeated.
left, top, right, bottom = map(float, box)
side = rule["margin"] * max(right - left, bottom - top)
x, y, whole = round((left + right - side) / 2), round((top + bottom - side) / 2), max(round(side), 1)
rows = np.clip(np.arange(y, y + whole), 0, image.shape[0] - 1)
columns = np.clip(np.arange(x, x + whole), 0, image.shape[1] - 1)
square = image[rows[:, None], columns]
shrinks = rule["size"] < whole
crop = cv2.resize(square, (rule["size"],) * 2, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)

raw, p_fake = session.run(["raw", "p_fake"], {"crops": cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)[None]})
print(f"raw {raw[0]:.6f}, p_fake {p_fake[0]:.6f} ({facts['name']} {facts['version']})")

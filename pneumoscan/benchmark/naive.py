"""The loop that people write: a picture at a time, opened, made grey, made small, scored.

    python naive.py MODEL FOLDER SIZE PROVIDER...

This is the pattern of every script that `pneumoscan bench --compare` times too: called with these arguments, it scores
all pictures of the folder, and its last line on standard output is a JSON object that tells how many `images` took how
many `seconds` and `cpu_seconds`, without its start.

The session has no options but its providers, unlike that of a scan: people write it so. On CUDA that is the first GPU,
whatever `--device` names.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def main(model: str, folder: str, size: int, providers: list[str]) -> None:
    """Scores every picture of a folder."""
    if "CUDAExecutionProvider" in providers:
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(model, providers=providers)
    begun, cpu_begun = time.perf_counter(), time.process_time()
    scores = {}
    for path in sorted(Path(folder).iterdir()):
        image = Image.open(path).convert("L").resize((size, size))
        pixels = np.array(image)[np.newaxis]
        scores[path] = session.run(["probabilities"], {"images": pixels})[0][0]
    used = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu_begun}
    print(json.dumps({"images": len(scores), **used}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])

"""CheXagent-2 or MAIRA-2 as a remote model: their code comes with their weights, so it runs in a process of its own.

    python film_model_server.py chexagent-2-3b FOLDER 8101
    python film_model_server.py maira-2 FOLDER 8102

FOLDER holds the publisher's files. Their code is executed: use a folder that you trust. Keep remote_server.py beside
this file, and use an environment with torch and the release of transformers that the publisher names (CheXagent-2:
4.40.0).
Written from the publishers' own examples, and tested on stand-ins only: the published weights could not be had.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from remote_server import image_of, refusal, serve

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32


def picture(request: dict[str, Any]) -> Image.Image:
    """Return the film as 8-bit gray in three channels, from its lowest to its highest value."""
    voxels = np.asarray(image_of(request).dataobj, np.float32)[:, :, 0]
    plane = voxels.mean(-1) if voxels.ndim == 3 else voxels
    low, high = float(plane.min()), float(plane.max())
    return Image.fromarray(np.uint8((plane.T - low) / max(high - low, 1e-6) * 255)).convert("RGB")


def loaded(folder: str, reader: str) -> tuple[Any, Any]:
    """Return model and reader (AutoTokenizer or AutoProcessor) of a folder, with the code that it brings."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=DTYPE)
    return model.to(DEVICE).eval(), getattr(transformers, reader).from_pretrained(folder, trust_remote_code=True)


class CheXagent:
    """Answers questions on a film."""

    verb, version = "answer", "2-3b"

    def __init__(self, folder: str) -> None:
        self.model, self.tokenizer = loaded(folder, "AutoTokenizer")

    def result(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's text."""
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            picture(request).save(file.name)
            asked = self.tokenizer.from_list_format([{"image": file.name}, {"text": request["arguments"]["question"]}])
            turns = [{"from": "system", "value": "You are a helpful assistant."}, {"from": "human", "value": asked}]
            ids = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt").to(DEVICE)
            made = self.model.generate(ids, do_sample=False, num_beams=1, use_cache=True, max_new_tokens=512)[0]
            return {"text": self.tokenizer.decode(made[ids.shape[1] :], skip_special_tokens=True).strip()}


class Maira2:
    """Finds the boxes of a phrase on a frontal film."""

    verb, version = "ground", "2"

    def __init__(self, folder: str) -> None:
        self.model, self.processor = loaded(folder, "AutoProcessor")

    def result(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return boxes in voxel indices; the model gives no score, and none where it sees nothing."""
        film, phrase = picture(request), request["arguments"]["phrase"]
        prepare = self.processor.format_and_preprocess_phrase_grounding_input
        inputs = prepare(frontal_image=film, phrase=phrase, return_tensors="pt").to(DEVICE)
        made = self.model.generate(**inputs, max_new_tokens=150, use_cache=True)[0]
        text = self.processor.decode(made[inputs["input_ids"].shape[-1] :], skip_special_tokens=True)
        boxes = []
        for _said, found in self.processor.convert_output_to_plaintext_or_grounded_sequence(text.lstrip()):
            for box in found or ():
                x0, y0, x1, y1 = self.processor.adjust_box_for_original_image_size(box, film.width, film.height)
                lower = (x0 * (film.width - 1), y0 * (film.height - 1), 0.0)
                upper = (x1 * (film.width - 1), y1 * (film.height - 1), 0.0)
                boxes.append({"label": phrase, "lower": lower, "upper": upper})
        return {"boxes": boxes}


if __name__ == "__main__":
    served: Any = {"chexagent-2-3b": CheXagent, "maira-2": Maira2}[sys.argv[1]](sys.argv[2])

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a request, or the error to show."""
        if request["verb"] != served.verb:
            return refusal(f"{sys.argv[1]} serves {served.verb}, not {request['verb']}")
        with torch.inference_mode():
            return {"result": served.result(request)}

    serve(answer, sys.argv[1], served.version, int(sys.argv[3]))

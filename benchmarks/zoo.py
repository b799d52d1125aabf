"""Which bundles of MONAI's model zoo our interpreter of configurations opens, and why it refuses the others.

    git clone https://github.com/Project-MONAI/model-zoo
    python benchmarks/zoo.py model-zoo/models

Weights are not needed: network, preprocessing, inferer and postprocessing are made from each bundle's own
configuration, the network with random weights. Prints a line a bundle and the counts; there is no limit to hold.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))


def look(folder: Path) -> str:
    """Return what a bundle is opened as.

    Raises:
        ToolError: it is refused, with the reason.
    """
    from tools.models.card import ModelCard
    from tools.models.runtimes.base import Loading
    from tools.models.runtimes.bundle_generation import LATENT_DIFFUSION, MAISI
    from tools.models.runtimes.monai_bundle import Bundle

    given = {"name": "zoo", "title": folder.name, "verb": "segment", "runtime": "monai_bundle", "version": "1"}
    card = ModelCard.model_validate(given | {"seconds": 1, "licence": "-", "source": "zoo"})
    bundle = Bundle(Loading(card, {folder.name: folder}, "cpu"))
    config = bundle.config
    if config.raw("ldm_sampler#_target_") == MAISI:
        names = "autoencoder diffusion_unet controlnet mask_generation_autoencoder mask_generation_diffusion"
        return f"generator of CT: {', '.join(type(config.get(f'{n}_def')).__name__ for n in names.split())}"
    if config.raw("inferer#_target_") == LATENT_DIFFUSION:
        return f"generator: {', '.join(type(config.get(n)).__name__ for n in ('autoencoder_def', 'network_def'))}"
    return opened(bundle)


def opened(bundle: Any) -> str:
    """Return what a bundle that works on images is made of."""
    config = bundle.config
    network = type(config.get("network_def" if "network_def" in config else "network")).__name__
    config.get("preprocessing")
    if config.raw("detector") is not None:
        return f"detector around {network}"
    target = str(config.raw("inferer#_target_"))
    if target != "scripts.inferer.Vista3dInferer":
        target = type(config.get("inferer")).__name__
    config.get("postprocessing")
    return f"{network}, {target.rpartition('.')[2]}"


def main() -> None:
    """Print a line for every bundle below the folder."""
    from tools.errors import ToolError

    warnings.simplefilter("ignore")
    bundles = [folder for folder in sorted(Path(sys.argv[1]).iterdir()) if (folder / "configs").is_dir()]
    runs = 0
    for folder in bundles:
        try:
            print(f"{folder.name}: {look(folder)}")
            runs += 1
        except ToolError as error:
            print(f"{folder.name}: refused; {str(error).splitlines()[0][:220]}")
    print(f"{runs} of {len(bundles)} opened")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the folder with the bundles: python benchmarks/zoo.py FOLDER")
    main()

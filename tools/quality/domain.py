"""Does an image lie within what a model's card declares to work on?"""

from __future__ import annotations

import numpy as np

from tools.imaging.volume import Volume
from tools.models.card import ModelCard


def outside(card: ModelCard, volume: Volume) -> tuple[str, ...]:
    """Return why an image lies outside a card's declared domain, one reason a line; none where it does not.

    Header facts (modality, body part, dimensions) are checked when the model is chosen; this looks at grid and values.
    """
    domain = card.domain
    if domain is None:
        return ()
    said = []
    if volume.spacing_source is not None:
        steps = [s for s in volume.spacing_mm if not np.isnan(s)]
        if domain.finest_mm is not None and min(steps) < domain.finest_mm:
            said.append(f"spacing {min(steps):.2f} mm is finer than the {domain.finest_mm:g} mm that {card.name} knows")
        if domain.coarsest_mm is not None and max(steps) > domain.coarsest_mm:
            said.append(
                f"spacing {max(steps):.2f} mm is coarser than the {domain.coarsest_mm:g} mm that {card.name} knows"
            )
    if domain.min_slices is not None and volume.shape[2] < domain.min_slices:
        said.append(f"{volume.shape[2]} slices are fewer than the {domain.min_slices} that {card.name} needs")
    if domain.values is not None:
        low, high = (float(p) for p in np.percentile(volume.array, (1, 99)))
        if low < domain.values[0] or high > domain.values[1]:
            said.append(
                f"values from {low:.0f} to {high:.0f} (1st to 99th percentile) leave the range from "
                f"{domain.values[0]:g} to {domain.values[1]:g} that {card.name} knows"
            )
    return tuple(said)

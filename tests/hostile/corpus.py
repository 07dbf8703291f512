"""Every hostile file, with its expected outcome."""

from __future__ import annotations

from tests.hostile.archives import ARCHIVES
from tests.hostile.image_bombs import BOMBS
from tests.hostile.image_damage import DAMAGED, ODD
from tests.hostile.table import Hostile

CORPUS: list[Hostile] = [*BOMBS, *DAMAGED, *ODD, *ARCHIVES]

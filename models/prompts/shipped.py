"""The weights that come with the package: one network for all kinds of images."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import ModelError
from .network import PromptNetwork

SHIPPED = Path(__file__).parent / "prompts.safetensors"


def load_network(path: Path | str | None = None) -> PromptNetwork:
    """The network with the shipped weights, or with those of a file that `save_network` made, in evaluation mode.

    Raises:
        ModelError: there is no such file, or it holds something else.
    """
    file = Path(path or SHIPPED)
    network = PromptNetwork()
    counters = {name for name, values in network.state_dict().items() if not values.is_floating_point()}
    try:
        found = load_file(file)
        state = {name: values.float() for name, values in found.items()}
        missing, unknown = network.load_state_dict(state, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"'{file}' cannot be read as weights of the prompt network: {error}") from error
    if unknown or set(missing) - counters:
        wrong = [*unknown, *sorted(set(missing) - counters)][:3]
        raise ModelError(f"'{file}' holds weights of another network; {', '.join(wrong)} do not fit.")
    return network.eval()


def save_network(network: PromptNetwork, path: Path) -> None:
    """Write the weights in half precision, so that they take half the room."""
    state = network.state_dict()
    save_file({name: values.half().contiguous() for name, values in state.items() if values.is_floating_point()}, path)

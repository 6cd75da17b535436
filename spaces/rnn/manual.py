"""How the network of a cell is called, as the docstring of an exported module tells it."""

from __future__ import annotations

__all__ = ["MANUAL"]

MANUAL = """\
    module = model.build(vocabulary=1000, embedding=64, hidden=(64, 64), dropout=0.1)
    logits, state = module(tokens)  # tokens (steps, streams), int64; logits (steps, streams, vocabulary)
    logits, state = module(more, module.detached(state))  # goes on where the last call ended

``hidden`` has the size of each layer, ``dropout`` is the share dropped of what enters and leaves a layer, one mask for
all steps. The state is a list over layers of tensors (streams, hidden), one for each hidden state of the cell; none
given is zeros. ``vocabulary=None`` leaves out embedding and decoder: then vectors (steps, streams, embedding) go in,
and the last layer's outputs (steps, streams, hidden) come out.

In model.onnx the input is ``tokens`` (``vectors`` without a vocabulary), of any number of steps and streams, and
``state_L_J``, hidden state J of layer L; the output is ``logits`` (``outputs``) and ``new_state_L_J``.

Example: trained on a toy text, letter by letter.

    import torch

    import model

    text = "the cat sat on the mat, and the dog lay on the rug. " * 50
    letters = sorted(set(text))
    ids = torch.tensor([letters.index(letter) for letter in text])
    streams = ids.view(8, -1).T  # (steps, 8)
    torch.manual_seed(0)
    module = model.build(vocabulary=len(letters), embedding=16, hidden=(32,))
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    state, losses = None, []
    for step in range(40):
        begin = 16 * step % (len(streams) - 16)
        chunk = streams[begin : begin + 17]
        logits, state = module(chunk[:-1], state)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), chunk[1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        state = module.detached(state)
        losses.append(loss.item())
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} nats per letter")
"""

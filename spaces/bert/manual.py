"""How the network of a configuration is called, as the docstring of an exported module tells it."""

from __future__ import annotations

__all__ = ["MANUAL"]

MANUAL = """\
    encoder = model.build(vocabulary=30522, dropout=0.1)
    hidden = encoder(tokens)  # tokens (examples, 1 to 512), int64; hidden (examples, tokens, encoder.plan.hidden_size)

Id 0 is padding, whose word vector is zero and stays so; there is no attention mask. ``transform_residual=False`` leaves
out the residual sum of Fourier and cosine transforms, as the released code of the published metrics does; then next to
nothing is learnt. In model.onnx the input is ``tokens`` and the output ``hidden``, for any number of examples.

Example: trained on a toy text, to tell masked words.

    import torch

    import model

    text = "the cat sat on the mat and the dog lay on the rug while it rained and the wind blew ".split() * 20
    words = ["[PAD]", "[MASK]", *sorted(set(text))]
    windows = torch.tensor([words.index(word) for word in text]).view(-1, 16)
    torch.manual_seed(0)
    encoder = model.build(vocabulary=len(words), dropout=0.0)
    head = torch.nn.Linear(encoder.plan.hidden_size, len(words))
    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-3)
    losses = []
    for step in range(30):
        masked = torch.rand(windows.shape) < 0.15
        logits = head(encoder(windows.masked_fill(masked, 1)))
        loss = torch.nn.functional.cross_entropy(logits[masked], windows[masked])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} nats per masked word")
"""

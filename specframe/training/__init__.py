"""What a trainer plug-in needs: the request that it gets, and the training data.

A trainer is called as ``train(request)``. Importing this package loads no torch.
"""

from specframe.training._documents import Document, Message, read_documents
from specframe.training._request import TrainRequest
from specframe.training._tokens import TokenStream, Window, Windows, tokenize

__all__ = [
    "Document",
    "Message",
    "TokenStream",
    "TrainRequest",
    "Window",
    "Windows",
    "read_documents",
    "tokenize",
]

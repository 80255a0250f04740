"""How long platforms wait for our answer to a post."""

import time

from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import TransientError
from contracts.messages import ChannelName
from observability.metrics import expect_acknowledgements, note_acknowledgement
from webhook.platform_posts import Receiver
from webhook.problems import Problem


def timed(channel: ChannelName, receiver: Receiver) -> Receiver:
    """The receiver, its time measured, by the status that its answer or its error comes to."""
    name = channel.value
    expect_acknowledgements(name)

    async def receive(request: Request) -> Response:
        started, status = time.perf_counter(), 500
        try:
            response = await receiver(request)
            status = response.status_code
        except Problem as exc:
            status = exc.status
            raise
        except TransientError:
            status = 503
            raise
        finally:
            note_acknowledgement(name, status, time.perf_counter() - started)
        return response

    return receive

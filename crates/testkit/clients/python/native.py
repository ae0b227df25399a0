"""A plain WebSocket of the library websockets, which resumes its socket.

Follows one user until its session ends, and prints what happens, one line each.
"""

import asyncio
import json
import os
import ssl

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


def say(*words):
    print(*words, flush=True)


class ResumeState:
    """Resume token of this client, and the offset of the last event that it has handled."""

    resume_token = None
    offset = None

    def auth(self):
        data = {"token": os.environ["TOKEN"]}
        if self.resume_token:
            data["resume"] = {"resumeToken": self.resume_token, "offset": self.offset}
        return json.dumps({"event": "auth", "data": data})


async def handle(frame, socket, state):
    event, data = frame["event"], frame["data"]
    if event == "ready":
        say("connected")
        if not data["recovered"]:
            state.resume_token, state.offset = data["resumeToken"], data["offset"]
        await socket.send(json.dumps({"event": "account:list", "data": {}, "id": "1"}))
    elif event == "account:list_response" and frame["id"] == "1":
        say("ack", json.dumps(data["success"]))
    elif event == "account:status_changed":
        say("event", data["metadata"]["errorMessage"])
    elif event == "security:session_expired":
        say("expired", data["reason"])
    elif event == "error":
        say("refused", data["error"])
    state.offset = frame.get("offset") or state.offset


async def main():
    trust = ssl.create_default_context(cafile=os.environ["CA"])
    url = os.environ["GATEWAY"].replace("https://", "wss://") + "/ws"
    state = ResumeState()
    ends = 0
    # Reconnects by itself, for ever: the loop ends where reconnecting is of no use.
    async for socket in connect(url, ssl=trust, subprotocols=["postern.v1.json"], ping_interval=None):
        try:
            await socket.send(state.auth())
            async for message in socket:
                frames = json.loads(message)
                for frame in frames if isinstance(frames, list) else [frames]:
                    await handle(frame, socket, state)
        except ConnectionClosed:
            pass
        code = socket.close_code
        if ends == 0:
            say("disconnected", code)
        if code in (4401, 4403):
            ends += 1
        if ends == 2:
            return


asyncio.run(main())

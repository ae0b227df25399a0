"""python-socketio with asyncio, over aiohttp.

Follows one user until its session ends, and prints what happens, one line each.
"""

import asyncio
import json
import os
import ssl

import aiohttp
import socketio


def say(*words):
    print(*words, flush=True)


class Follower(socketio.AsyncClientNamespace):
    async def on_connect(self):
        say("connected")
        await self.emit("account:list", {}, callback=lambda answer: say("ack", json.dumps(answer["success"])))

    async def on_disconnect(self, reason):
        say("disconnected", reason)

    async def on_connect_error(self, error):
        # A refusal by Postern has a code; a link that is down has a text.
        if isinstance(error, dict):
            say("refused", error["data"]["code"])

    async def trigger_event(self, event, *args):
        # Names with a colon cannot be method names.
        if event == "account:status_changed":
            say("event", args[0]["metadata"]["errorMessage"])
        elif event == "security:session_expired":
            say("expired", args[0]["reason"])
        else:
            await super().trigger_event(event, *args)


async def follow(client):
    await client.connect(
        os.environ["GATEWAY"],
        auth=lambda: {"token": os.environ["TOKEN"]},
        transports=["websocket"],
        wait_timeout=10,
    )
    await client.wait()


async def main():
    trust = ssl.create_default_context(cafile=os.environ["CA"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        client = socketio.AsyncClient(
            http_session=session, reconnection_delay=0.1, reconnection_delay_max=0.5, randomization_factor=0
        )
        client.register_namespace(Follower("/"))
        await follow(client)
        try:
            await follow(client)
        except socketio.exceptions.ConnectionError:
            pass


asyncio.run(main())

"""python-socketio with threads. Its WebSocket library, websocket-client, sends an Origin of the server's own host.

Follows one user until its session ends, and prints what happens, one line each.
"""

import json
import os

import socketio


def say(*words):
    # In one piece: several threads may say something.
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


client = socketio.Client(
    serializer=os.environ.get("SERIALIZER", "default"),
    reconnection_delay=0.1,
    reconnection_delay_max=0.5,
    randomization_factor=0,
    websocket_extra_options={"sslopt": {"ca_certs": os.environ["CA"]}},
)


@client.event
def connect():
    say("connected")
    client.emit("account:list", {}, callback=lambda answer: say("ack", json.dumps(answer["success"])))


@client.on("account:status_changed")
def changed(data, *_):
    say("event", data["metadata"]["errorMessage"])


@client.on("security:session_expired")
def expired(data, *_):
    say("expired", data["reason"])


@client.event
def disconnect(reason):
    say("disconnected", reason)


@client.event
def connect_error(error):
    # A refusal by Postern has a code; a link that is down has a text.
    if isinstance(error, dict):
        say("refused", error["data"]["code"])


def follow():
    client.connect(
        os.environ["GATEWAY"],
        auth=lambda: {"token": os.environ["TOKEN"]},
        transports=["websocket"],
        wait_timeout=10,
    )
    client.wait()


follow()
try:
    follow()
except socketio.exceptions.ConnectionError:
    pass

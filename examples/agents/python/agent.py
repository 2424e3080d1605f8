#!/usr/bin/env python3
"""An agent in Python 3.8 or newer, with nothing but the standard library: it turns texts around, slowly if asked to.

    [agents.turn]
    use = "program"
    command = ["python3", "agent.py"]
"""

import json
import sys
import threading

HELLO = {
    "type": "hello",
    "protocol": 1,
    "name": "turn",
    "version": "1.0",
    "concurrency": 4,
    "heartbeat": 10,
    "capabilities": [
        {
            "name": "",
            "doc": "Turns a text around.",
            "effect": "read",
            "text": "text",
            "input": {
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "seconds": {"type": "number", "description": "how long to take"},
                },
                "required": ["text"],
            },
            "output": {"type": "string"},
            "examples": [{"args": {"text": "grün"}}, {"args": {"text": "slow", "seconds": 0.2}}],
        }
    ],
}

lock = threading.Lock()
running = {}  # what stops each call under way, by its id


def say(message):
    line = json.dumps(message, ensure_ascii=False)
    with lock:
        sys.stdout.buffer.write(line.encode() + b"\n")
        sys.stdout.buffer.flush()  # without it nothing arrives


def serve(call, stopped):
    """Makes one call. Whatever happens, it says result or error once."""
    try:
        if call.get("capability", "") != "":
            raise LookupError("there is no capability " + call["capability"])
        args = call["args"]
        if args.get("seconds"):
            say({"type": "progress", "id": call["id"], "note": "turning slowly"})
            if stopped.wait(args["seconds"]):
                say({"type": "error", "id": call["id"], "outcome": "cancelled", "message": "stopped turning"})
                return
        say({"type": "result", "id": call["id"], "value": args["text"][::-1]})
    except Exception as err:  # a mistake of ours is the end of this call, not of the program
        say({"type": "error", "id": call["id"], "outcome": "error", "message": str(err)})
    finally:
        running.pop(call["id"], None)


def main():
    for line in sys.stdin.buffer:  # ends when slop is done with us
        try:
            message = json.loads(line)
        except ValueError as err:
            print("not a message:", err, file=sys.stderr)  # standard error is for people
            continue
        kind = message.get("type")
        if kind == "hello":
            say(HELLO)
        elif kind == "ping":
            say({"type": "pong", "n": message["n"]})
        elif kind == "cancel":
            stopped = running.get(message["id"])
            if stopped:
                stopped.set()
        elif kind == "call":
            stopped = running[message["id"]] = threading.Event()
            threading.Thread(target=serve, args=(message, stopped), daemon=True).start()


if __name__ == "__main__":
    main()

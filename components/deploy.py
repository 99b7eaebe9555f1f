"""Step: a release that passed the gate is handed to the control plane, which tries it on a share of the people."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def deploy(bento: dsl.Input[dsl.Model], evaluation: dsl.Input[dsl.Artifact], control_api: str, at_once: bool, policy: str) -> str:
    """Registers the release and starts its canary; where nothing serves yet it serves everybody.

    Args:
        bento: the Bento, with its release's id and its bundle.
        evaluation: what the gate said of it.
        control_api: the control plane, such as `http://127.0.0.1:8002`.
        at_once: serve everybody without a canary.
        policy: fields of the canary's policy that differ from the default, as JSON, whose null KFP does not know.

    Returns:
        The release.
    """
    import json
    import os
    from pathlib import Path

    from components.control_api import hand_over
    from monitoring.progress import EVENTS, step

    with step("deploy") as say:
        own, run_id = bento.metadata, Path(os.environ.get(EVENTS, "")).parent.name
        place = {"bundle": own["bundle"], "bento": own["address"], "evaluation": evaluation.path, "run_id": run_id}
        why = f"run {run_id} made it, and it passed the gate"
        handed = hand_over(control_api, **place, policy=json.loads(policy), at_once=at_once, why=why, say=say)
        facts = {"release_id": handed["release_id"], "bundle": own["bundle"], "state": handed["state"]}
        say(
            {"serving": "it serves", "canary": f"canary {handed['canary_id']} has begun"}.get(handed["state"], "it is known"),
            **facts,
        )
        return str(handed["release_id"])

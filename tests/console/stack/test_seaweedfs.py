import os
import signal
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from console.stack import bucket, seaweedfs
from console.stack.child_process import Child
from console.stack.ports import allocate
from console.stack.roles import base_environ
from streamproc.contract.store_settings import StoreSettings
from tests.console.stack.waiting import until


def client(s3: StoreSettings, secret: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=s3.key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
    )


@pytest.mark.filterwarnings("default::DeprecationWarning:botocore")
def test_seaweedfs_needs_its_keys_and_keeps_what_it_acked_through_kill_9(
    engines: None, tmp_path: Path
) -> None:
    ports = allocate(seaweedfs.PORTS, {})
    s3 = seaweedfs.settings(ports, "access", "secret")
    spec = seaweedfs.spec(tmp_path / "s3", ports, s3, os.environ)
    told = base_environ(os.environ) | s3.to_environ()
    one_shot = bucket.spec([sys.executable, "-P", "-m"], told, own=True)
    assert spec.probe is not None
    child = Child(spec, tmp_path / "log", tmp_path)
    try:
        assert Child(one_shot, tmp_path / "bucket.log", tmp_path).wait() == 0
        good = client(s3, "secret")
        for i in range(20):
            good.put_object(Bucket=s3.bucket, Key=f"k{i}", Body=b"%d" % i * 1000)
        with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|AccessDenied|signature"):
            client(s3, "wrong").list_objects_v2(Bucket=s3.bucket)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child = Child(spec, tmp_path / "log", tmp_path)
        until(spec.probe, "seaweedfs is ready again")
        for i in range(20):
            body = good.get_object(Bucket=s3.bucket, Key=f"k{i}")["Body"].read()
            assert body == b"%d" % i * 1000
        good.close()
    finally:
        child.kill()
        child.wait()
        for path in seaweedfs.sockets(ports):
            path.unlink(missing_ok=True)

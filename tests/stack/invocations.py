"""Answers invocations of the deployed function by running its uploaded code in a process. moto itself needs Docker for that."""

import io
import json
import zipfile

from account import KEPT, STACK, Stack
from lambda_runtime import Function


class Invocations:
    """Runs the code of the stack's function with the environment and the permissions that it has in Lambda.

    Only the URL of Ayrshare differs from a real deployment.
    """

    def __init__(self, account, ayrshare, folder):
        self.account = account
        self.ayrshare = ayrshare
        self.folder = folder
        self.events = []

    def __call__(self, event):
        """The answer to an event, as bytes, and whether it is an error."""
        self.events.append(json.loads(event))
        try:
            return self._answer()
        except Exception as fault:
            # Printed by deploy.sh, and so by the test that fails.
            return json.dumps({"errorMessage": f"the stand-in for Lambda failed: {fault!r}"}).encode(), True

    def _answer(self):
        stack = Stack(self.account, STACK)
        self._point_to_stand_in(stack)
        with Function([str(self._code(stack))], stack.function_environment()) as function:
            answer = function.invoke(self.events[-1])
        return json.dumps(answer.body).encode(), answer.is_error

    def _code(self, stack):
        code = KEPT[stack.id, "Function"]["Code"]
        uploaded = self.account.client("s3").get_object(Bucket=code["S3Bucket"], Key=code["S3Key"])["Body"].read()
        path = self.folder / f"bootstrap-{len(self.events)}"
        path.write_bytes(zipfile.ZipFile(io.BytesIO(uploaded)).read("bootstrap"))
        path.chmod(0o755)
        return path

    def _point_to_stand_in(self, stack):
        ssm, name = self.account.client("ssm"), stack.outputs["ConfigLocation"].removeprefix("ssm:")
        text = ssm.get_parameter(Name=name)["Parameter"]["Value"]
        if self.ayrshare.url not in text:
            text = text.replace("[ayrshare]\n", f'[ayrshare]\nbase_url = "{self.ayrshare.url}"\n', 1)
            ssm.put_parameter(Name=name, Value=text, Type="String", Overwrite=True)

"""docs/deploy.md and docs/operations.md agree with the template."""

import re

from account import REGION, STACK
from checks import ALARMS
from template import ROOT, source

GUIDE = (ROOT / "docs/deploy.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()


def test_every_parameter_is_listed_with_its_default():
    table = GUIDE.partition("## Parameters of the stack")[2]
    listed = {name: default for name, default in re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", table, re.MULTILINE)}
    assert listed == {name: str(parameter["Default"]) for name, parameter in source()["Parameters"].items()}


def test_everything_that_it_names_exists():
    template = source()
    for name in re.findall(r"`Parameter (\w+)`|Parameter (\w+)$|ConfigSource:|SecretArn:", GUIDE, re.MULTILINE):
        name = "".join(name)
        assert not name or name in template["Parameters"], name
    for output in ("AlertTopicArn", "AlarmTopicArn", "ReportUrl", "ReportInvokeArn", "DashboardUrl", "StoreUrl"):
        assert f"`{output}`" in GUIDE and output in template["Outputs"]
    for name in ALARMS:
        alarm = template["Resources"][name]["Properties"]["AlarmName"]["Fn::Sub"].replace("${AWS::StackName}", STACK)
        assert f"| `{alarm}` |" in OPERATIONS


def test_its_commands_are_those_of_the_outputs(account):
    outputs = account.deploy().outputs
    for name in ("CheckCommand", "TestCommand", "RunCommand"):
        command = outputs[name].replace(f" --region {REGION}", "")
        assert command in GUIDE or command.replace(" --cli-read-timeout 0", "") in GUIDE, command


def test_no_secret_is_an_argument_of_a_command():
    # Other users of a machine see the arguments of all programs.
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), ROOT / "template.yaml"]
    commands = [line for path in documents for line in path.read_text().splitlines() if "--type SecureString" in line]
    assert len(commands) >= 6
    assert [line for line in commands if "--value file:///dev/stdin" not in line] == []


def test_the_costs_add_up():
    block = GUIDE.partition("| | 1 profile |")[2].partition("\n\n")[0]
    rows = {
        cells[0].strip(): cells[1:4] for line in block.splitlines()[2:] if len(cells := line.strip("|").split("|")) == 4
    }

    def amounts(name):
        # The price is after the last comma.
        (cells,) = [cells for title, cells in rows.items() if title.startswith(name)]
        return [float(cell.strip(" *").rsplit(", ", 1)[-1]) for cell in cells]

    use = ["Lambda", "DynamoDB writes", "DynamoDB reads", "DynamoDB storage", "S3", "Logs", "Parameter Store", "Scheduler"]
    fixed = ["12 metrics", "6 alarms", "1 dashboard"]
    grows = [sum(column) for column in zip(*map(amounts, use), strict=True)]
    assert [round(amount, 2) for amount in grows] == amounts("**subtotal: by use**")
    flat = [sum(column) for column in zip(*map(amounts, fixed), strict=True)]
    assert [round(a + b, 2) for a, b in zip(grows, flat, strict=True)] == amounts("**total**")

    for index, profiles in enumerate((1, 30, 1000)):
        seconds = -(-profiles // 8) + 1
        assert rows["duration of a run"][index].strip() == f"{seconds} s"
        wanted = {
            "Lambda": 30 * seconds * 0.25 * 0.0000133334 + 30 * 0.0000002,
            "DynamoDB writes": (160 * profiles + 60) * 0.000000625,
            "DynamoDB reads": 180 * profiles * 0.000000125,
            "DynamoDB storage": 24e-6 * profiles * (0.25 + 0.20),
            "S3": 30 * (2 * 0.000005 + 0.0000004),
            "12 metrics": 12 * 0.30 * 30 / 730,
        }
        for name, amount in wanted.items():
            assert abs(amounts(name)[index] - amount) < 0.005 / (1 if name == "12 metrics" else 50), (
                name,
                profiles,
                amount,
            )

#!/usr/bin/env bash
# Deploys media-expiry-alerts to AWS with nothing but the AWS command line, updates it, and removes it again.
#
# It works on the files beside it, which `make release-bundle` packs together. `./deploy.sh --help` lists its options.

# Continues in bash if another shell has started it.
if [ -z "${BASH_VERSION:-}" ]; then
    exec bash "$0" "$@"
fi

# A trace would show the API key.
set +x
set -euo pipefail
# Only this user may read the files that it writes.
umask 077
# Version 2 of the AWS command line would wait in a pager.
export AWS_PAGER=""

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# How it was started. The commands that it prints begin with this, so that they work when they are copied.
command=$(printf '%q' "$0")
[[ $0 == */* && -x $0 ]] || command="bash $command"
key=${AYRSHARE_API_KEY:-}
# Hides the key from the programs that this script starts.
unset AYRSHARE_API_KEY
default_stack=media-expiry-alerts
stack=$default_stack
default_region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
region=$default_region
email='' time='' zone=''
parameters=()
asks=yes
action=deploy
new_key=no
send_test=no

usage() {
    cat <<END
Deploys media-expiry-alerts to AWS, or updates it.

Usage: deploy.sh [options]

It asks for what it needs: the Ayrshare API key, which is not shown, an email address, and when to run. If the stack
exists already, it is updated, keeps its settings, and asks nothing.

Options:
  --email ADDRESS       who receives the alerts
  --time HH:MM          when it runs each day [default: 07:00]
  --zone ZONE           the time zone of this time and of the messages, like Europe/Berlin [default: UTC]
  --new-key             replace the API key
  --set NAME=VALUE      set any other parameter of the stack; can be repeated
  --test                send a sample to each channel after an update, too
  --stack NAME          the name of the stack and of the function [default: media-expiry-alerts]
  --region REGION       the AWS region [default: that of your AWS settings]
  --remove              remove everything, after you have confirmed it
  --yes                 do not ask any questions, for scripts
  --version             print the version
  --help                print this text

A first deployment and --new-key take the API key from the variable AYRSHARE_API_KEY if it is set. Other updates ignore it.
END
}

say() {
    printf '%s\n' "$@"
}

# fail TEXT...: says what is wrong and what to do, and ends.
fail() {
    printf '\n' >&2
    printf '%s\n' "$@" >&2
    exit 1
}

# misused TEXT: rejects the command line.
misused() {
    fail "$1" "This lists the options: $command --help"
}

# ask VARIABLE TEXT [OPTION]: reads an answer, without the blanks around it. The option is one of `read`.
ask() {
    local given
    if ! read -r ${3:+"$3"} -p "$2" given; then
        [[ $action == deploy ]] || fail "There was no answer, so nothing was removed."
        fail "There was no answer. Run the same command again to go on."
    fi
    printf -v "$1" '%s' "$given"
}

# ask_until CHECK VARIABLE TEXT DEFAULT NEEDED: asks until the check accepts the answer, and says each time what is needed.
ask_until() {
    until "$1" "${!2}"; do
        ask "$2" "$3"
        [[ -n ${!2} ]] || printf -v "$2" '%s' "$4"
        "$1" "${!2}" || say "This needs $5."
    done
}

can_ask() {
    [[ $asks == yes && -t 0 ]]
}

# ---------------------------------------------------------------------------------------------------- options

is_email() {
    [[ $1 =~ ^[^[:space:]@,]+@[^[:space:]@,]+$ ]]
}

is_time() {
    [[ $1 =~ ^([01]?[0-9]|2[0-3]):[0-5][0-9]$ ]]
}

# If the machine has a list of time zones, an unknown one is rejected at once. AWS would take minutes to reject it.
is_zone() {
    [[ $1 =~ ^[A-Za-z0-9_+/-]+$ && (! -e /usr/share/zoneinfo/UTC || -f /usr/share/zoneinfo/$1) ]]
}

is_key() {
    [[ $1 =~ ^[[:graph:]]+$ ]]
}

needs_email="one email address, like maria@example.com"
needs_time="a time like 07:00"
needs_zone="the name of a time zone, like Europe/Berlin or America/New_York"

while (($#)); do
    option=$1
    shift
    case $option in
        --email | --time | --zone | --stack | --region | --set)
            (($#)) || misused "$option needs a value."
            value=$1
            shift
            ;;
    esac
    case $option in
        --email) email=$value ;;
        --time) time=$value ;;
        --zone) zone=$value ;;
        --stack) stack=$value ;;
        --region) region=$value ;;
        --set)
            [[ $value =~ ^[A-Za-z][A-Za-z0-9]*= ]] || misused "--set needs NAME=VALUE, like --set Slack=yes."
            parameters+=("$value")
            ;;
        --new-key) new_key=yes ;;
        --test) send_test=yes ;;
        --remove) action=remove ;;
        --yes) asks=no ;;
        --help | -h)
            usage
            exit
            ;;
        --version)
            say "media-expiry-alerts $(<"$here/VERSION")"
            exit
            ;;
        *) misused "There is no option $option." ;;
    esac
done
[[ $stack =~ ^[A-Za-z][A-Za-z0-9-]{0,63}$ ]] ||
    misused "--stack needs a name of letters, digits and hyphens, 64 at most, that begins with a letter."
key_name=/$stack/ayrshare-api-key
[[ $stack == "$default_stack" ]] || command+=" --stack $stack"
[[ $region == "$default_region" ]] || command+=" --region $(printf '%q' "$region")"
[[ -z $email ]] || is_email "$email" || misused "--email needs $needs_email."
[[ -z $time ]] || is_time "$time" || misused "--time needs $needs_time."
[[ -z $zone ]] || is_zone "$zone" || misused "--zone needs $needs_zone."
[[ -z $key ]] || is_key "$key" || misused "AYRSHARE_API_KEY contains blanks. Copy the key again from the Ayrshare dashboard."

# ---------------------------------------------------------------------------------------------------- the account

find_account() {
    command -v aws >/dev/null || fail "The AWS command line is missing. AWS CloudShell has it, in the browser; or install it:" \
        "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
    [[ -n $region ]] || region=$(aws configure get region) ||
        fail "No AWS region is set. Name one, for example: --region eu-central-1"
    export AWS_REGION=$region AWS_DEFAULT_REGION=$region
    account=$(aws sts get-caller-identity --query Account --output text 2>"$work/error") ||
        fail "$(<"$work/error")" "" "The AWS account cannot be determined. If the credentials are missing or have expired: in CloudShell," \
            "log in to the console again; elsewhere, run \`aws configure\` or \`aws sso login\`. If AWS cannot be reached, check" \
            "the network and the name of the region, $region. Then run the same command again."
    # All stacks of this account and region share this bucket. The number of the account makes its name unique.
    code_bucket=media-expiry-alerts-code-$account-$region
}

# Sets `status` to the status of the stack, or to nothing if it does not exist. Ends if the stack is not one of this program.
find_stack() {
    local answer description
    if answer=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].[StackStatus, Description]' \
        --output text 2>"$work/error"); then
        IFS=$'\t' read -r status description <<<"$answer"
    elif [[ $(<"$work/error") == *"(ValidationError)"*"does not exist"* ]]; then
        status=''
        return
    else
        fail "$(<"$work/error")" "" "The stacks of the account cannot be read. Use credentials that may manage CloudFormation, such as" \
            "those of an administrator, and run the same command again."
    fi
    # A stack that AWS has only reviewed has no resources, and need not have a description.
    [[ $description == media-expiry-alerts* || "$status $description" == "REVIEW_IN_PROGRESS None" ]] ||
        fail "The stack $stack in the account $account, region $region, is not one of media-expiry-alerts, so it is left alone." \
            "Name another one with --stack."
}

# has_bucket NAME: whether this account has the bucket.
has_bucket() {
    if aws s3api head-bucket --bucket "$1" --expected-bucket-owner "$account" >/dev/null 2>"$work/error"; then
        return
    fi
    [[ $(<"$work/error") == *"(404)"* ]] ||
        fail "$(<"$work/error")" "" "The bucket $1 cannot be accessed. Use credentials that may do so, and run the same command again. If the" \
            "bucket belongs to another account, choose another region with --region."
    return 1
}

console() {
    printf 'https://%s.console.aws.amazon.com/%s' "$region" "$1"
}

has_key() {
    if aws ssm get-parameter --name "$key_name" --query Parameter.Version --output text >/dev/null 2>"$work/error"; then
        return
    fi
    [[ $(<"$work/error") == *"(ParameterNotFound)"* ]] ||
        fail "$(<"$work/error")" "" "The parameter $key_name cannot be read. Use credentials that may read Parameter Store, and run" \
            "the same command again."
    return 1
}

# ---------------------------------------------------------------------------------------------------- deployment

# Asks for everything that is not known yet.
complete_settings() {
    if [[ -n $key && $is_new == no && $new_key == no ]]; then
        key=''
        say "The variable AYRSHARE_API_KEY is ignored, because an update keeps the API key. To replace it, add --new-key."
    fi
    if [[ -z $key && $is_new == yes ]] && ! has_key; then
        new_key=yes
    fi
    if [[ -z $key && $new_key == yes ]]; then
        can_ask || fail "The Ayrshare API key is missing. Run it in a terminal without --yes, or set the variable" \
            "AYRSHARE_API_KEY."
        say "Your Ayrshare API key is in the Ayrshare dashboard, under API Key. It is stored encrypted and is not shown here."
        until is_key "$key"; do
            ask key "Ayrshare API key: " -s
            say ""
            is_key "$key" || say "This is empty or contains blanks. Copy the key again from the Ayrshare dashboard."
        done
    fi
    if [[ $is_new == yes ]]; then
        if can_ask; then
            ask_until is_email email "Email address for alerts: " "" "$needs_email"
            ask_until is_time time "Time of the daily run [07:00]: " 07:00 "$needs_time"
            ask_until is_zone zone "Time zone, like Europe/Berlin [UTC]: " UTC "$needs_zone"
        fi
        [[ -n $email ]] || fail "Who receives the alerts? Add --email ADDRESS."
        time=${time:-07:00}
        zone=${zone:-UTC}
    fi
    if [[ -n $email ]]; then
        parameters+=("AlertEmail=$email")
    fi
    if [[ -n $time ]]; then
        # Without the leading zeros, which cron does not have.
        parameters+=("ScheduleExpression=cron($((10#${time#*:})) $((10#${time%:*})) * * ? *)")
    fi
    if [[ -n $zone ]]; then
        parameters+=("ScheduleTimezone=$zone" "Timezone=$zone")
    fi
}

# Sets `architecture` to that of the options, else that of the stack, else the default.
find_architecture() {
    local each
    architecture=''
    for each in ${parameters[@]+"${parameters[@]}"}; do
        if [[ $each == Architecture=* ]]; then
            architecture=${each#*=}
        fi
    done
    if [[ -z $architecture && $is_new == no ]]; then
        architecture=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
            --query "Stacks[0].Parameters[?ParameterKey=='Architecture'].ParameterValue | [0]") ||
            fail "The parameters of the stack cannot be read. Run the same command again."
    fi
    if [[ -z $architecture || $architecture == None ]]; then
        architecture=arm64
    fi
    [[ $architecture == arm64 || $architecture == x86_64 ]] || misused "Architecture is arm64 or x86_64."
    for each in template.yaml "function-$architecture.zip" README.md LICENSE-MIT; do
        [[ -f $here/$each ]] || fail "The file $each is missing beside deploy.sh. Unpack the whole archive again."
    done
}

make_code_bucket() {
    local place=()
    if ! has_bucket "$code_bucket"; then
        say "Creating the bucket $code_bucket for the program."
        # us-east-1 rejects its own name as a location constraint.
        if [[ $region != us-east-1 ]]; then
            place=(--create-bucket-configuration "LocationConstraint=$region")
        fi
        aws s3api create-bucket --bucket "$code_bucket" ${place[@]+"${place[@]}"} >/dev/null ||
            fail "The bucket $code_bucket cannot be created. Use credentials that may create S3 buckets. If the name is taken, choose" \
                "another region with --region."
    fi
    # This is done each time, because an earlier attempt can have failed after it created the bucket. New buckets are encrypted already.
    aws s3api put-public-access-block --bucket "$code_bucket" --expected-bucket-owner "$account" --public-access-block-configuration \
        BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true ||
        fail "The bucket $code_bucket cannot be made private. Use credentials that may configure S3 buckets, and run the same command again."
}

store_key() {
    if [[ -z $key ]]; then
        return
    fi
    # The key goes through standard input, because other users of this machine can see arguments, and files can stay behind.
    printf '%s' "$key" | aws ssm put-parameter --name "$key_name" --type SecureString --overwrite \
        --value file:///dev/stdin >/dev/null || fail "The API key cannot be stored. Use credentials that may write to Parameter Store." \
        "If the stack has another API key, nothing has changed."
    key=''
    say "The API key is stored as $key_name, encrypted."
}

deploy_stack() {
    # The template names the zip of the default architecture. `package` reads all files beside its template.
    sed "s/function-arm64\.zip/function-$architecture.zip/" "$here/template.yaml" >"$work/template.yaml"
    cp "$here/function-$architecture.zip" "$here/README.md" "$here/LICENSE-MIT" "$work/"
    say "Uploading the program."
    aws cloudformation package --template-file "$work/template.yaml" --output-template-file "$work/packaged.yaml" \
        --s3-bucket "$code_bucket" --s3-prefix "$stack" >/dev/null ||
        fail "The program cannot be uploaded to the bucket $code_bucket. Use credentials that may write to it, and run the same command again."
    say "" "Deploying the stack $stack. This takes about two minutes."
    if ! aws cloudformation deploy --template-file "$work/packaged.yaml" --stack-name "$stack" --s3-bucket "$code_bucket" \
        --s3-prefix "$stack" --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
        ${parameters[@]+--parameter-overrides "${parameters[@]}"}; then
        say "" "AWS reported:" >&2
        aws cloudformation describe-stack-events --stack-name "$stack" --output text --max-items 50 \
            --query "StackEvents[?contains(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]" >&2 || true
        fail "The stack could not be deployed. If it existed before, it has not changed. Fix the problems above and run the same" \
            "command again. All events: $(console "cloudformation/home?region=$region#/stacks")"
    fi
}

# ---------------------------------------------------------------------------------------------------- check and test

# text_of NAME: prints the first string of this name in the answer of the function.
text_of() {
    local pattern="\"$1\":[[:space:]]*\"(([^\"\\]|\\\\.)*)\"" text line
    [[ $answer =~ $pattern ]] || return 0
    # The other escapes of JSON are also those of printf.
    printf -v text '%b' "${BASH_REMATCH[1]//\\\"/\"}"
    # Whatever else the text contains, it does not control the terminal.
    while IFS= read -r line; do
        say "${line//[[:cntrl:]]/}"
    done <<<"$text"
}

# invoke ACTION: invokes the function, and sets `answer` to its answer. Fails if the answer is an error.
invoke() {
    local error
    printf '{"action":"%s"}' "$1" >"$work/event.json"
    error=$(aws lambda invoke --function-name "$stack" --cli-read-timeout 0 --payload "fileb://$work/event.json" \
        --query FunctionError --output text "$work/answer.json") ||
        fail "The function cannot be invoked. Use credentials that may invoke Lambda functions, and run the same command again."
    answer=$(<"$work/answer.json")
    [[ $error == None ]]
}

check() {
    say "" "Checking the API key, the profiles, the channels, the ledger and the store."
    invoke check || fail "The check failed: $(text_of errorMessage)" "" \
        "Fix it and run the same command again. If the API key is wrong, run: $command --new-key" \
        "You can already click the links in the emails \"AWS Notification - Subscription Confirmation\", if there are any."
    case $(text_of status) in
        ok) say "media-expiry-alerts $(text_of version) works." ;;
        partial) say "$answer" "" "media-expiry-alerts $(text_of version) works, but not for every profile. See \"failed\" above." ;;
        *) fail "The check did not succeed. Its answer: ${answer:-nothing}" "" "Fix what it names, and run the same command again." ;;
    esac
}

# Reads what the stack has become: the topics, who receives them, and the dashboard. Empty if there is none.
read_stack() {
    local found
    found=$(aws cloudformation describe-stacks --stack-name "$stack" --output text --query "Stacks[0].[
        [Outputs[?OutputKey=='AlertTopicArn'] | [0].OutputValue], [Parameters[?ParameterKey=='AlertEmail'] | [0].ParameterValue],
        [Outputs[?OutputKey=='AlarmTopicArn'] | [0].OutputValue], [Parameters[?ParameterKey=='AlarmEmail'] | [0].ParameterValue],
        [Outputs[?OutputKey=='DashboardUrl'] | [0].OutputValue]]") ||
        fail "The outputs of the stack cannot be read. Run the same command again."
    {
        IFS= read -r alert_topic
        IFS= read -r alert_email
        IFS= read -r alarm_topic
        IFS= read -r alarm_email
        IFS= read -r dashboard
    } <<<"$found"
    alarm_email=${alarm_email:-$alert_email}
}

# say_if_lost KIND TOPIC ADDRESS: says so if AWS has no subscription of this address, which it deletes if nobody confirms it.
say_if_lost() {
    [[ -n $3 && $subscriptions != *"$2"* ]] || return 0
    all_confirmed=no
    say "" "The email address for $1 has no subscription, so $1 do not reach it. AWS deletes a subscription that is not confirmed" \
        "within two days. This creates a new one, and sends a new email to confirm it:" \
        "  aws sns subscribe --region $region --topic-arn $2 --protocol email --notification-endpoint $(printf '%q' "$3")"
}

# Sets `all_confirmed` to whether AWS has a confirmed subscription for each address, and says what is missing. Fails if nobody has to
# confirm anything now.
is_waiting() {
    # AWS shows another word instead of the ARN of a subscription that is not confirmed.
    subscriptions=$(aws sns list-subscriptions --output text --query "Subscriptions[?Protocol=='email' && SubscriptionArn!='Deleted' &&
        (TopicArn=='$alert_topic' || TopicArn=='$alarm_topic')].[TopicArn, SubscriptionArn]") || return
    all_confirmed=yes
    say_if_lost alerts "$alert_topic" "$alert_email"
    say_if_lost alarms "$alarm_topic" "$alarm_email"
    [[ $subscriptions == *PendingConfirmation* ]] || return
    all_confirmed=no
    say "" "Not every subscription is confirmed yet."
}

# Asks for the confirmation of each address, because a sample before that is lost. Whether it is needed depends on what AWS still
# waits for, because an earlier attempt can have ended before this question.
confirm_emails() {
    if [[ $is_new == yes || -n $email ]]; then
        send_test=yes
    fi
    [[ $is_new == yes ]] || is_waiting || return 0
    say "" "Now open the inbox. AWS has sent one email for alerts and one for alarms, with the subject" \
        "\"AWS Notification - Subscription Confirmation\". Click \"Confirm subscription\" in both. Until then, nothing else" \
        "arrives there. Look into the spam folder, too. For a new email, choose \"Request confirmation\" in the SNS console:" \
        "$(console "sns/v3/home?region=$region#/subscriptions")"
    if can_ask; then
        # Not without a terminal, because a script would send a sample with each update.
        send_test=yes
        ask REPLY "Press Enter when you have done this: "
        is_waiting || true
    fi
}

send_samples() {
    say "" "Sending a sample, marked [TEST], to each channel."
    invoke test || fail "The sample could not be sent: $(text_of errorMessage)" "" "Fix it and run: $command --test"
    say "It was sent. Look for it in your inbox, and in your other channels."
    [[ $all_confirmed == yes ]] ||
        say "It reaches only the email addresses that are confirmed. For another sample later, run:" "  $command --test"
}

deploy() {
    local is_new=no all_confirmed=no alert_topic alert_email alarm_topic alarm_email dashboard subscriptions
    find_stack
    case $status in
        '' | REVIEW_IN_PROGRESS) is_new=yes ;;
        ROLLBACK_COMPLETE | ROLLBACK_FAILED)
            # The first deployment failed. Such a stack cannot be updated.
            is_new=yes
            ;;
        CREATE_COMPLETE | UPDATE_COMPLETE | UPDATE_ROLLBACK_COMPLETE) ;;
        *_IN_PROGRESS) fail "AWS is still busy with the stack $stack ($status). Wait a few minutes, and run the same command again." ;;
        *) fail "The stack $stack cannot be updated: its status is $status. Open it, and fix what its events name, or remove it with" \
            "$command --remove: $(console "cloudformation/home?region=$region#/stacks")" ;;
    esac
    if [[ $is_new == yes ]]; then
        say "Deploying media-expiry-alerts $(<"$here/VERSION") to the account $account, region $region."
    else
        say "Updating the stack $stack in the account $account, region $region," "to media-expiry-alerts $(<"$here/VERSION")."
    fi
    find_architecture
    complete_settings
    if [[ $status == ROLLBACK_* ]]; then
        say "Deleting what an earlier attempt has left."
        delete_stack || fail "It could not be deleted. Run: $command --remove"
    fi
    make_code_bucket
    store_key
    deploy_stack
    check
    read_stack
    confirm_emails
    if [[ $send_test == yes ]]; then
        send_samples
    fi
    say "" "Done." "  Dashboard:      ${dashboard/#None/none}" "  Function:       $(console "lambda/home?region=$region#/functions/$stack")" \
        "  Settings:       $command --time 09:00 --zone Europe/Berlin" "              or  $command --set NAME=VALUE" \
        "  Update:         unpack a newer release over this one, and run: $command" "  Remove it all:  $command --remove"
}

# ---------------------------------------------------------------------------------------------------- removal

# Prints the names of the buckets of the stack, one per line.
buckets() {
    aws cloudformation describe-stack-resources --stack-name "$stack" --output text \
        --query "StackResources[?ResourceType=='AWS::S3::Bucket'].[PhysicalResourceId]" ||
        fail "The resources of the stack cannot be read. Run the same command again."
}

# is_like_store BUCKET: whether CloudFormation can have made this name for the bucket of a stack with the name of this one.
is_like_store() {
    local start=$stack like=no
    # The names of buckets are in lower case, and begin with only a part of a long name.
    ((${#start} <= 40)) || start="${start:0:24}.*"
    shopt -s nocasematch
    [[ ! $1 =~ ^$start-store-[a-z0-9]+$ ]] || like=yes
    shopt -u nocasematch
    [[ $like == yes ]]
}

# is_elsewhere BUCKET: whether the bucket is in another region, where it can belong to a stack that is in use.
is_elsewhere() {
    local location
    location=$(aws s3api get-bucket-location --bucket "$1" --query LocationConstraint --output text 2>/dev/null) || return
    # AWS does not name its first region here.
    [[ ${location/#None/us-east-1} != "$region" ]]
}

delete_stack() {
    aws cloudformation delete-stack --stack-name "$stack" && aws cloudformation wait stack-delete-complete --stack-name "$stack"
}

# remove_stack BUCKETS: deletes the stack, and then its buckets, which stay when the stack is deleted. The stack comes first, so that
# its files are still there if it cannot be deleted.
remove_stack() {
    local bucket id kept type name
    id=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackId' --output text) ||
        fail "The stack cannot be read. Run the same command again."
    say "Deleting the stack $stack. This takes about two minutes."
    delete_stack ||
        fail "The stack could not be deleted. Its buckets and parameters have not changed. Its events say why. Fix that and run" \
            "the same command again: $(console "cloudformation/home?region=$region#/stacks")"
    for bucket in $1; do
        if has_bucket "$bucket"; then
            aws s3 rb "s3://$bucket" --force >/dev/null ||
                fail "The bucket $bucket could not be deleted. Empty and delete it in the S3 console: $(console s3/buckets)" \
                    "Then run the same command again."
        fi
    done
    kept=$(aws cloudformation describe-stack-events --stack-name "$id" --output text 2>/dev/null \
        --query "StackEvents[?ResourceStatus=='DELETE_SKIPPED' && ResourceType!='AWS::S3::Bucket'].[ResourceType, PhysicalResourceId]") ||
        kept=''
    while read -r type name; do
        [[ -z $name ]] || left+=("the $type $name, which the stack protects")
    done <<<"$kept"
}

# remove_parameters NAME...: deletes those of them that still exist.
remove_parameters() {
    while (($#)); do
        # AWS accepts ten names in one call.
        aws ssm delete-parameters --names "${@:1:10}" >/dev/null ||
            fail "These parameters could not be deleted. Delete them in the Parameter Store console, and run the same command again:" "$@"
        shift "$(($# < 10 ? $# : 10))"
    done
}

remove_code() {
    aws s3 rm "s3://$code_bucket/$stack/" --recursive --only-show-errors ||
        fail "The bucket $code_bucket cannot be emptied. Use credentials that may delete its objects, and run the same command again."
    if aws s3api delete-bucket --bucket "$code_bucket" --expected-bucket-owner "$account" 2>"$work/error"; then
        return
    fi
    [[ $(<"$work/error") == *"(BucketNotEmpty)"* ]] ||
        fail "$(<"$work/error")" "" "The bucket $code_bucket cannot be deleted. Use credentials that may do so, and run the same command" \
            "again."
    say "The bucket $code_bucket stays, because it contains the program of another stack."
}

# Prints the names of the parameters below the name of the stack, one per line.
parameters_below() {
    aws ssm get-parameters-by-path --path "/$stack" --recursive --query 'Parameters[].[Name]' --output text ||
        fail "The parameters below /$stack/ cannot be listed. Use credentials that may do so, and run the same command again."
}

# Prints the names of all buckets of the account, one per line.
all_buckets() {
    aws s3api list-buckets --query 'Buckets[].[Name]' --output text ||
        fail "The buckets of the account cannot be listed. Use credentials that may do so, and run the same command again."
}

# Prints the names of the stacks with programs in the bucket for programs, one per line, each with a slash.
programs() {
    aws s3api list-objects-v2 --bucket "$code_bucket" --expected-bucket-owner "$account" --delimiter / \
        --query 'CommonPrefixes[].[Prefix]' --output text ||
        fail "The bucket $code_bucket cannot be read. Use credentials that may do so, and run the same command again."
}

# Adds to `plan` what --remove will do, and to `left` what it leaves.
plan_removal() {
    local below all each of_others
    [[ -z $status ]] || plan+=("the stack $stack: the function, its schedule, topics, table, logs and alarms")
    for each in $of_stack; do
        plan+=("the bucket $each with all files in it, copies of media too")
    done
    below=$(parameters_below) || exit
    for each in $below; do
        # If there is no stack, the parameters may belong to another program, except for the key.
        if [[ -n $status || $each == "$key_name" ]]; then
            of_program+=("$each")
            plan+=("the parameter $each")
        else
            left+=("the parameter $each")
        fi
    done
    all=$(all_buckets) || exit
    for each in $all; do
        if [[ $each == "$code_bucket" ]]; then
            of_others=$(programs) || exit
            if [[ $'\n'$of_others$'\n' == *$'\n'"$stack/"$'\n'* ]]; then
                has_code=yes
                plan+=("the uploaded program in the bucket $each")
            elif [[ -z $of_others || $of_others == None ]]; then
                has_code=yes
                plan+=("the bucket $each, which is empty")
            fi
        elif [[ $'\n'$of_stack$'\n' != *$'\n'"$each"$'\n'* ]] && is_like_store "$each" && ! is_elsewhere "$each"; then
            left+=("the bucket $each with all files in it")
        fi
    done
}

say_what_is_left() {
    ((${#left[@]} > 0)) || return 0
    say "These stay. Delete them in the console if they belong to this stack or an earlier one of the same name, and nothing else" \
        "uses them:"
    say "${left[@]/#/  }"
}

remove() {
    local of_stack='' plan=() of_program=() left=() has_code=no typed
    find_stack
    if [[ -n $status ]]; then
        of_stack=$(buckets) || exit
    fi
    plan_removal
    if [[ ${#plan[@]} == 0 ]]; then
        say "There is nothing to remove in the account $account, region $region."
        say_what_is_left
        return
    fi
    say "This removes from the account $account, region $region:" "${plan[@]/#/  }"
    if can_ask; then
        ask typed "Type the name of the stack to remove it: "
        [[ $typed == "$stack" ]] || fail "Nothing was removed."
    elif [[ $asks == yes ]]; then
        fail "Nothing was removed. Run the same command in a terminal, or add --yes."
    fi
    [[ -z $status ]] || remove_stack "$of_stack"
    # The stack has deleted its own parameter. The others are of no use without the function.
    remove_parameters ${of_program[@]+"${of_program[@]}"}
    [[ $has_code == no ]] || remove_code
    if ((${#left[@]} == 0)); then
        say "" "Everything is removed."
    else
        say "" "Removed, as listed above."
    fi
    say_what_is_left
    say "These stay, at no cost, until AWS deletes them: a backup of the table for 35 days, and the metrics for 15 months." \
        "If you created any of these, remove them yourself: a secret in Secrets Manager, a configuration in a bucket of yours, an identity" \
        "in SES, and webhooks in Slack or Teams. Nothing in Ayrshare was changed."
}

work=$(mktemp -d) || fail "A temporary folder cannot be created. Set TMPDIR to a folder in which you may write."
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
find_account
"$action"

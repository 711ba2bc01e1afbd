#!/bin/bash
# What this is: a site for many people with real accounts: who may do what, who is refused, as whom steps run.
# Owns: a private view of /etc/passwd and /etc/group with four people and a service, a site, its runner.
# Never: changes the host: the accounts exist in this mount namespace alone (run it under `unshare --mount`).
# On failure: a line `not ok NAME: what was seen`; every check has a line, and SharedSiteTests counts them.
set -u
bobbin=$1
place=$2
mount --make-rprivate / || exit 77
mkdir -p "$place"
chmod 755 "$place"
people="bbanna bbbert bbcarl bbdora"
cp /etc/passwd "$place/passwd"
cp /etc/group "$place/group"
number=61000
for name in bbsvc $people; do
    number=$((number + 1))
    echo "$name:x:$number:$number::$place/home/$name:/bin/bash" >>"$place/passwd"
    echo "$name:x:$number:" >>"$place/group"
    mkdir -p "$place/home/$name"
    chown "$number:$number" "$place/home/$name"
done
echo "bbstaff:x:61500:bbsvc,bbanna,bbbert,bbcarl,bbdora" >>"$place/group"
mount --bind "$place/passwd" /etc/passwd || exit 77
mount --bind "$place/group" /etc/group || exit 77
cp "$bobbin" "$place/bobbin"
chmod 755 "$place/bobbin"
bobbin=$place/bobbin
site=$place/site
mkdir "$site"
chown bbsvc:bbsvc "$site"

as() { local who=$1; shift; setpriv --reuid "$who" --regid "$who" --init-groups --no-new-privs env HOME="$place/home/$who" USER="$who" "$@"; }
service() { setpriv --reuid bbsvc --regid bbsvc --init-groups "$@"; }
ok() { echo "ok $1"; }
not_ok() { echo "not ok $1: $2"; }
# check NAME TEXT PATTERN: the text holds the pattern.
check() { if grep -qE -- "$3" <<<"$2"; then ok "$1"; else not_ok "$1" "no /$3/ in: $(tail -c 600 <<<"$2" | tr '\n' '|')"; fi; }
# refuse NAME TEXT PATTERN [PROOF]: the text lacks the pattern, and holds the proof that there was something to say.
refuse() {
    if [ $# -gt 3 ] && ! grep -qE -- "$4" <<<"$2"; then not_ok "$1" "no /$4/ in: $(tail -c 600 <<<"$2" | tr '\n' '|')"; return; fi
    if grep -qE -- "$3" <<<"$2"; then not_ok "$1" "/$3/ in: $(tail -c 600 <<<"$2" | tr '\n' '|')"; else ok "$1"; fi
}
# Waits for a file of this pattern, looking whenever something below the spool changes, at least a few times a second.
await() {
    local pattern=$1 tries=0
    while ! compgen -G "$pattern" >/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { echo "nothing at $pattern"; return 1; }
        read -r -t 0.1 <> <(:) || true
    done
    compgen -G "$pattern" | head -1
}
result() { local file; file=$(await "$site/spool/@(done|failed)/*/*~$1*.result.yaml") && cat "$file"; }
reason() { local file; file=$(await "$site/spool/rejected/*~$1*.reason.yaml") && cat "$file"; }
request() { local file; file=$(await "$site/spool/approvals/requests/*.yaml") && basename "$file" .yaml; }
drop() { as "$1" cp "$2" "$site/spool/default/p5/.$3" && as "$1" mv "$site/spool/default/p5/.$3" "$site/spool/default/p5/$3"; }
job() { printf 'dsl_version: "1.1"\nname: %s\nsteps:\n%s\n' "$2" "$3" >"$place/$1"; chmod 644 "$place/$1"; }
shopt -s extglob

# --- the site
service env HOME="$place/home/bbsvc" "$bobbin" init "$site" --shared bbstaff >/dev/null
cat >"$site/ops/access.yaml" <<Y
shared: true
group: bbstaff
users:
  bbanna: Editor
  bbcarl: Runner
  bbdora: {role: Editor, active: false}
groups: {bbstaff: Runner}
queues: {high_priority: {allow: [bbanna]}}
secrets: {"erp/*": {role: Admin, templates: [intake.yaml]}}
Y
cp Tests/EndToEndTests/Shared/intake.yaml "$site/templates/" 2>/dev/null || cp "$(dirname "$0")/intake.yaml" "$site/templates/"
chmod 644 "$site/templates/intake.yaml"
service env HOME="$place/home/bbsvc" "$bobbin" secrets keygen --site "$site" >/dev/null 2>&1
printf 'a secret of the erp' | service env HOME="$place/home/bbsvc" "$bobbin" secrets set erp/key --site "$site" >/dev/null

start() {
    : >"$place/up.log"
    setpriv --reuid bbsvc --regid bbsvc --init-groups "$@" env HOME="$place/home/bbsvc" "$bobbin" up --site "$site" >>"$place/up.log" 2>&1 &
    runner=$!
    await "$site/spool/log/bobbin.log" >/dev/null
    local tries=0
    until grep -q "began (pid $(pgrep -P $runner -f "up --site" || echo $runner)," "$site/spool/log/bobbin.log" || grep -q "began (pid $runner," "$site/spool/log/bobbin.log"; do
        tries=$((tries + 1)); [ $tries -lt 200 ] || break
        read -r -t 0.1 <> <(:) || true
    done
}
stop() { kill -TERM $runner 2>/dev/null; wait $runner 2>/dev/null; }
trap 'stop' EXIT

# --- without the right to act as others nothing of theirs runs
job who.yaml who '  - run: [id]'
start
drop bbbert "$place/who.yaml" who-early.yaml
# Of the same account, with the same rights: the memory and the environment of the runner are its own all the same.
check closed-environment "$(service cat "/proc/$(pgrep -x -f "$bobbin up --site $site" | head -1)/environ" 2>&1)" 'Permission denied'
check launch-refused "$(result who-early)" 'code: E-LAUNCH'
stop
start --inh-caps +setuid,+setgid,+kill --ambient-caps +setuid,+setgid,+kill

# --- as whom steps run
job who.yaml who '  - run: {argv: [sh, -c, "id; echo $HOME; grep -E \"NoNewPrivs|CapEff|CapAmb|CapInh\" /proc/self/status"]}
    id: a
  - write_file: {path: '"$place"'/home/bbbert/made, content: x}
  - parallel: [{run: [id, -un]}, {read_file: {path: '"$site"'/secrets/recipients.txt}}]
    continue_on_error: true'
drop bbbert "$place/who.yaml" who-bert.yaml
text=$(result who-bert)
check run-as-submitter "$text" 'uid=61003\(bbbert\)'
check home-of-submitter "$text" "$place/home/bbbert"
check no-new-privileges "$text" 'NoNewPrivs:.*1'
refuse no-capabilities "$text" 'Cap(Eff|Amb|Inh):\\?t?\s*0*[1-9a-f]' 'CapEff'
check files-as-submitter "$(stat -c %U "$place/home/bbbert/made" 2>&1)" '^bbbert$'
check secrets-unreadable "$text" 'recipients.txt: Permission denied|E-FILE-ACCESS'

# --- what its people may not reach by themselves
for path in secrets spool/.bobbin/runners ops/audit spool/intake/bbanna; do
    refuse "closed ${path//\//-}" "$(as bbbert ls "$site/$path" 2>&1)" '^[a-km-z0-9]' 'Permission denied'
done
refuse foreign-intake "$(as bbbert cp "$place/who.yaml" "$site/spool/intake/bbanna/default~p5~x.yaml" 2>&1 && echo done)" '^done' 'Permission denied'

# --- what a step may not change, though its account may
mkdir "$place/home/bbbert/out"; chown bbbert:bbbert "$place/home/bbbert/out"
job reach.yaml reach '  - run: {argv: [sh, -c, "for f in '"$site"'/spool/control/pause-default '"$site"'/spool/approvals/responses/x '"$site"'/spool/intake/bbbert/default~p5~y.yaml; do echo x > $f && echo wrote $f; done; echo x > '"$place"'/home/bbbert/out/z && mv '"$place"'/home/bbbert/out/z '"$place"'/home/bbbert/w && echo free"]}'
drop bbbert "$place/reach.yaml" reach.yaml
text=$(result reach)
refuse confined "$text" "wrote $site" 'free'
check not-confined-elsewhere "$text" 'stdout:.*free|free'

# --- rights
job sh.yaml sh '  - shell: id'
drop bbbert "$place/sh.yaml" sh-bert.yaml
check shell-is-a-right "$(reason sh-bert)" 'E-ACCESS'
drop bbdora "$place/who.yaml" who-dora.yaml
check inactive "$(reason who-dora)" 'not active'
as bbbert cp "$place/who.yaml" "$site/spool/high_priority/p5/queue-bert.yaml"
check queue-rule "$(reason queue-bert)" 'E-ACCESS'
drop bbanna "$place/sh.yaml" sh-anna.yaml
check moved-in-is-no-intent "$(reason sh-anna)" 'bobbin submit'
check submitted-is-intent "$(as bbanna "$bobbin" submit "$place/sh.yaml" --wait --site "$site" 2>&1)" 'sh  succeeded'
check submit-is-only-for-oneself "$(as bbbert "$bobbin" submit "$place/sh.yaml" --wait --site "$site" 2>&1)" 'E-ACCESS'
job sec.yaml sec '  - run: {argv: [wc, -c], stdin: "{{ secrets://erp/key }}"}'
check secret-rule "$(as bbanna "$bobbin" submit "$place/sec.yaml" --wait --site "$site" 2>&1)" 'E-ACCESS'
printf 'template: intake.yaml\n' >"$place/tem.yaml"; chmod 644 "$place/tem.yaml"
drop bbbert "$place/tem.yaml" tem.yaml
check secret-of-a-template "$(result tem)" 'bytes: "?19'

# --- approvals
job ask.yaml ask '  - human_confirm: {message: go on?}
  - submit: {wait: true, job: {dsl_version: "1.1", name: kid, steps: [{run: [id, -un]}]}}'
drop bbbert "$place/ask.yaml" ask.yaml
id=$(request)
answer() { as "$1" "$bobbin" approve "$id" --site "$site" 2>&1; }
check self-approval "$(answer bbbert)" 'E-APP-SELF|E-APP-ROLE'
check role-of-approver "$(answer bbcarl)" 'E-APP-ROLE'
check service-approves-nothing "$(service env HOME="$place/home/bbsvc" "$bobbin" approve "$id" --site "$site" 2>&1)" 'E-APP-ROLE'
# Finding 1 of reliability.md: a file of the approver's own, in a directory that others can write, is moved in by somebody else.
mkdir "$place/common"; chmod 777 "$place/common"
sed 's/^decision:.*/decision: approve/; s/^nonce:.*/nonce: "00000000000000000000000000000000"/' "$site/spool/approvals/requests/$id.yaml" >"$place/old.yaml"
as bbanna cp "$place/old.yaml" "$place/common/old.yaml"
as bbbert mv "$place/common/old.yaml" "$site/spool/approvals/responses/forged.yaml"
verdict=$(cat "$(await "$site/spool/approvals/closed/*~forged.yaml.verdict.yaml")")
check forged-is-refused "$verdict" 'E-APP-FORGED'
check forged-is-hers-by-owner "$verdict" 'by: bbanna'
check still-open "$(ls "$site/spool/approvals/requests/")" "$id"
# The same with a command.
as bbanna sh -c "echo notes > $place/common/notes"
as bbbert mv "$place/common/notes" "$site/spool/control/cancel-${id%%.*}"
command=$(cat "$(await "$site/spool/control/closed/*~cancel-${id%%.*}.answer.yaml")")
check forged-command "$command" 'E-CONTROL-INTENT'
check approved "$(answer bbanna)" 'approve'
text=$(result ask)
check goes-on "$text" 'state: succeeded'
check child-has-the-submitter "$(result job)" 'submitted_by: bbbert'

# --- answers that must be signed, by the key that the site knows of the very account
sign=$(command -v ssh-keygen)
if [ -n "$sign" ]; then
    for who in bbanna bbcarl; do as $who ssh-keygen -q -t ed25519 -N '' -f "$place/home/$who/key"; done
    echo "bbanna $(cut -d ' ' -f 1,2 "$place/home/bbanna/key.pub")" >"$site/ops/allowed_signers"
    chmod 644 "$site/ops/allowed_signers"
    job signed.yaml signed '  - human_confirm: {message: go on?, require_signature: true}'
    drop bbbert "$place/signed.yaml" signed.yaml
    id=$(request)
    as bbcarl sed 's/^decision:.*/decision: approve/' "$site/spool/approvals/requests/$id.yaml" >"$place/carl.yaml"
    cp "$place/carl.yaml" "$place/answer.yaml"; chmod 644 "$place/answer.yaml"
    verdict() { cat "$(await "$site/spool/approvals/closed/*~$1.yaml.verdict.yaml")"; }
    check unsigned "$(answer bbanna)" 'E-APP-SIGNATURE'
    as bbanna cp "$place/answer.yaml" "$place/home/bbanna/wrong.yaml"
    # Signed by somebody else's key.
    as bbcarl cp "$place/answer.yaml" "$place/home/bbcarl/wrong.yaml"
    as bbcarl ssh-keygen -q -Y sign -n bobbin-approval -f "$place/home/bbcarl/key" "$place/home/bbcarl/wrong.yaml" 2>/dev/null
    as bbcarl cp "$place/home/bbcarl/wrong.yaml.sig" "$site/spool/approvals/responses/wrong.yaml.sig"
    as bbanna cp "$place/home/bbanna/wrong.yaml" "$site/spool/approvals/responses/wrong.yaml"
    check signed-by-another "$(verdict wrong)" 'E-APP-SIGNATURE'
    # Of another namespace: a signature made for something else.
    as bbanna cp "$place/answer.yaml" "$place/home/bbanna/other.yaml"
    as bbanna ssh-keygen -q -Y sign -n file -f "$place/home/bbanna/key" "$place/home/bbanna/other.yaml" 2>/dev/null
    as bbanna cp "$place/home/bbanna/other.yaml.sig" "$site/spool/approvals/responses/other.yaml.sig"
    as bbanna cp "$place/home/bbanna/other.yaml" "$site/spool/approvals/responses/other.yaml"
    check signed-for-something-else "$(verdict other)" 'E-APP-SIGNATURE'
    # Of another text: a comment more.
    as bbanna cp "$place/answer.yaml" "$place/home/bbanna/text.yaml"
    as bbanna ssh-keygen -q -Y sign -n bobbin-approval -f "$place/home/bbanna/key" "$place/home/bbanna/text.yaml" 2>/dev/null
    as bbanna sh -c "echo '# more' >> $place/home/bbanna/text.yaml"
    as bbanna cp "$place/home/bbanna/text.yaml.sig" "$site/spool/approvals/responses/text.yaml.sig"
    as bbanna cp "$place/home/bbanna/text.yaml" "$site/spool/approvals/responses/text.yaml"
    check signed-another-text "$(verdict text)" 'E-APP-SIGNATURE'
    check signed-question-is-open "$(ls "$site/spool/approvals/requests/")" "$id"
    # An answer that may not be opened yet, and the signature after it.
    as bbanna cp "$place/answer.yaml" "$place/home/bbanna/good.yaml"
    as bbanna ssh-keygen -q -Y sign -n bobbin-approval -f "$place/home/bbanna/key" "$place/home/bbanna/good.yaml" 2>/dev/null
    as bbanna cp "$place/home/bbanna/good.yaml" "$site/spool/approvals/responses/good.yaml"
    as bbanna cp "$place/home/bbanna/good.yaml.sig" "$site/spool/approvals/responses/good.yaml.sig"
    check signed-late "$(verdict good)" 'outcome: accepted'
    check signed-goes-on "$(result signed)" 'state: succeeded'
    drop bbbert "$place/signed.yaml" signed2.yaml
    id=$(request)
    check signed-by-command "$(as bbanna "$bobbin" approve "$id" --sign "$place/home/bbanna/key" --site "$site" 2>&1)" 'approve'
    check signed-by-command-goes-on "$(result signed2)" 'state: succeeded'
fi
drop bbbert "$place/ask.yaml" ask2.yaml
id=$(request)
as bbanna sh -c "umask 077; cp $site/spool/approvals/requests/$id.yaml $site/spool/approvals/responses/mine.yaml"
check answer-that-may-not-be-read "$(cat "$(await "$site/spool/approvals/closed/*~mine.yaml.verdict.yaml")")" 'E-APP-FILE'
check question-stays-open "$(ls "$site/spool/approvals/requests/")" "$id"
check then-denied "$(as bbanna "$bobbin" deny "$id" --comment no --site "$site" 2>&1)" 'deny|denied'
result ask2 >/dev/null

# --- commands
job slow.yaml slow '  - run: [sleep, "300"]'
drop bbbert "$place/slow.yaml" slow.yaml
claimed=$(await "$site/spool/claimed/main/*slow.yaml")
run=$(basename "$claimed"); run=${run:0:26}
check cancel-of-others "$(as bbcarl "$bobbin" cancel "$run" --site "$site" 2>&1)" 'E-ACCESS'
as bbcarl sh -c "printf 'pause default\n' > $site/spool/control/pause-default"
check pause-is-a-right "$(cat "$(await "$site/spool/control/closed/*~pause-default.answer.yaml")")" 'E-ACCESS'
check cancel-by-editor "$(as bbanna "$bobbin" cancel "$run" --site "$site" 2>&1)" 'cancelling|cancelled'
check cancelled "$(result slow)" 'state: cancelled'

# --- what a review tried
# A step of a library of C is a process of its own, as its submitter.
job sql.yaml sql '  - sql: {database: '"$place"'/home/bbbert/out/a.db, write: true, create: true, query: "CREATE TABLE t (a)"}
  - zip_folder: {folder: '"$place"'/home/bbbert/out, out: '"$place"'/home/bbbert/out.zip}
  - sql: {database: '"$place"'/home/bbanna/not-there.db, query: "SELECT 1"}'
drop bbbert "$place/sql.yaml" sql.yaml
text=$(result sql)
check isolated "$text" 'files: 1'
check isolated-owner "$(stat -c %U "$place/home/bbbert/out/a.db" 2>&1)" '^bbbert$'
check isolated-failure "$text" 'code: E-FILE'
# A drop without intent must not make itself one.
job escape.yaml escape '  - write_file: {path: '"$site"'/spool/intake/bbanna/default~p5~esc.yaml, content: x}'
drop bbanna "$place/escape.yaml" escape.yaml
check no-way-into-the-intake "$(result escape)" 'E-PATH-PROTECTED'
# A job that calls itself the child of somebody's run.
printf 'dsl_version: "1.1"\nparent: {run: %s, step: "1", depth: 1, waits: false}\nsteps: [{run: [id]}]\n' "$run" >"$place/kid.yaml"; chmod 644 "$place/kid.yaml"
drop bbbert "$place/kid.yaml" kid.yaml
check foreign-parent "$(reason kid)" 'E-PARENT'
# The service's copy of somebody's job, moved back: his, and without proof that he wants it.
copy=$(ls "$site"/spool/done/*/*~sh.*.yaml | grep -v result | head -1)
service mv "$copy" "$site/spool/default/p5/"
moved=$(basename "$copy" .yaml)
check moved-back-is-capped "$(cat "$(await "$site/spool/rejected/*${moved##*~}*.reason.yaml")")" 'bbanna \(Editor; a file that was moved in'
# Two files under one ticket: neither owner's word is enough.
ticket=01M8H8F5KRFJMYHQ3WGKHAJMTM
as bbanna cp "$place/slow.yaml" "$site/spool/high_priority/p9/.t" && : >"$place/half"; chmod 644 "$place/half"
as bbbert cp "$place/half" "$site/spool/default/p9/x.$ticket.yaml"
as bbanna sh -c "printf 'dsl_version: \"1.1\"\nsteps: [{log: x}' > $site/spool/default/p8/y.$ticket.yaml"
as bbbert sh -c "printf 'cancel $ticket\n' > $site/spool/control/cancel-$ticket"
check ticket-of-two "$(cat "$(await "$site/spool/control/closed/*~cancel-$ticket.answer.yaml")")" 'E-ACCESS'
as bbbert rm "$site/spool/default/p9/x.$ticket.yaml"; as bbanna rm "$site/spool/default/p8/y.$ticket.yaml"; as bbanna rm "$site/spool/high_priority/p9/.t"
# Switched off while his run is at work: its next step does not run.
as bbcarl mkfifo "$place/home/bbcarl/gate"
job two.yaml two '  - run: [cat, '"$place"'/home/bbcarl/gate]
  - run: [id]'
sed -i 's/^  bbcarl: Runner/  bbcarl: {role: Runner, active: true}/' "$site/ops/access.yaml"
drop bbcarl "$place/two.yaml" two.yaml
await "$site/spool/claimed/main/*two.yaml" >/dev/null
sed -i 's/^  bbcarl: .*/  bbcarl: {role: Runner, active: false}/' "$site/ops/access.yaml"
anew() { grep -c 'access.yaml.*read anew' "$site/spool/log/bobbin.log"; }
before=$(anew)
kill -HUP $(pgrep -f "up --site $site" | head -1)
tries=0; until [ "$(anew)" -gt "$before" ] || [ $tries -gt 200 ]; do tries=$((tries + 1)); read -r -t 0.1 <> <(:) || true; done
as bbcarl sh -c ": > $place/home/bbcarl/gate"
check switched-off "$(result two)" 'code: E-ACCESS'
# A crash between claim and record: a claim of the service is nobody's wish.
stop
service mkdir -p "$site/spool/claimed/main"
service cp "$place/who.yaml" "$site/spool/claimed/main/01M8H8F5KRFJMYHQ3WGKHAJMTM~default~p5~orphan.yaml"
start --inh-caps +setuid,+setgid,+kill --ambient-caps +setuid,+setgid,+kill
check adopted-claim-of-the-service "$(cat "$(await "$site/spool/rejected/*orphan.yaml.reason.yaml")")" 'E-ORIGIN'
stop
# Without its rules the site does not become a private one.
mv "$site/ops/access.yaml" "$place/access.yaml"
check lost-rules "$(service env HOME="$place/home/bbsvc" "$bobbin" run --until-idle --site "$site" 2>&1)" 'this site is shared'
mv "$place/access.yaml" "$site/ops/access.yaml"
start --inh-caps +setuid,+setgid,+kill --ambient-caps +setuid,+setgid,+kill

# --- what is written down
audit=$(service env HOME="$place/home/bbsvc" "$bobbin" audit search --action access --site "$site" 2>&1)
for who in bbbert bbdora bbanna bbcarl; do check "audited $who" "$audit" "$who \\(6100"; done
check denied-count "$(service env HOME="$place/home/bbsvc" "$bobbin" access report --json --site "$site" 2>&1)" '"rbac_denied_24h": [1-9]'
refuse audit-is-closed "$(as bbanna "$bobbin" audit tail --site "$site" 2>&1)" 'access.denied'
check can "$(as bbbert "$bobbin" access can bbbert approve_runs --site "$site" 2>&1)" '^no: bbbert'
refuse no-secret-anywhere "$(grep -rl 'a secret of the erp' "$site" 2>/dev/null)" '.'
check no-intents-left "$(ls "$site/spool/.bobbin/intents" 2>/dev/null | wc -l)" '^0$'
echo end

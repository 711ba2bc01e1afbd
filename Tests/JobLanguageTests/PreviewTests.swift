// What this is: values shown before a job runs: what is known, what stays as written, what is masked.
// Owns: the property that a preview with nothing open is what the run would see.
// Never: runs anything.
// On failure: the text and its preview are in the message.
import JobLanguage
import JobModel
import Testing

@Suite struct PreviewTests {
    private let scope = Scope(
        variables: [
            "name": "Ada", "n": .int(7), "list": .list([.int(1), .int(2)]), "api_token": "t0p",
            "empty": .null,
        ],
        now: Timestamp(seconds: 1_800_000_000), localDate: "2027-01-15",
        environment: { $0 == "HOME" ? "/h" : nil },
        fileExists: { $0 == "/is" })

    @Test(arguments: [
        ("plain", "plain"), ("{{ n }}", "7"), ("{{ list }}", "[1,2]"),
        ("for {{ name }} on {{ date }}", "for Ada on 2027-01-15"),
        ("{{ steps.a.b }}", "{{ steps.a.b }}"),
        ("{{ steps.a.b | default: 3 }}", "{{ steps.a.b | default: 3 }}"),
        ("{{ name }}/{{ run.id }}", "Ada/{{ run.id }}"), ("{{ nobody }}", "{{ nobody }}"),
        ("{{ name | upper }} {{ item.x }}", "ADA {{ item.x }}"), ("{{ nobody | default: 'x' }}", "x"),
        ("{{ env('HOME') }} {{ file_exists('/is') }}", "/h true"), ("{{ empty }}|", "|"),
        ("{{ 1 / 0 }}", "{{ 1 / 0 }}"),
        ("{{ api_token }}", "***"), ("Bearer {{ api_token }}", "Bearer ***"),
        ("{{ api_token | upper }}", "***"),
        ("{{ missing }}", "{{ missing }}"), ("{{ missing | default: 1 }}", "{{ missing | default: 1 }}"),
    ]) func texts(text: String, expected: String) {
        let shown = Preview(scope, missing: ["missing"]).value(.string(text))
        #expect((shown.stringValue ?? JSONText.write(shown)) == expected)
    }

    @Test func whatIsKnownIsWhatTheRunWillSee() throws {
        let value: Value = .map([
            "a": .list([.string("{{ n + 1 }}"), .string("{{ name }}-{{ n }}")]),
            "b": .map(["{{ n }}": .string("{{ list | length }}")]),
            "c": .bool(true),
        ])
        #expect(try Preview(scope).value(value) == value.rendered(scope))
    }

    @Test func whatIsNamedLikeASecretIsMaskedWhereverItIs() {
        let value: Value = .map([
            "headers": .map(["Authorization": "Bearer x", "X-Api-Key": "y", "Accept": "z"]), "password": "p",
            "token": .null,
            "secrets": .list(["q"]),
        ])
        #expect(
            Preview(scope).value(value)
                == .map([
                    "headers": .map(["Authorization": "***", "X-Api-Key": "***", "Accept": "z"]),
                    "password": "***",
                    "token": .null, "secrets": "***",
                ]))
    }

    @Test(arguments: [
        ("https://u:pw@h/?token=abc&x=1", "https://u:***@h/?token=***&x=1"),
        ("postgres://u:p@db/n", "postgres://u:***@db/n"),
        ("curl --password=hush -v", "curl --password=*** -v"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("mysql -p{{ db.password }} x", "mysql -p*** x"), ("{{ db }}", #"{"password":"***","user":"me"}"#),
        ("{{ db.user }}", "me"), ("https://h/path?x=1", "https://h/path?x=1"), ("a token", "a token"),
        (#"{"password": "hunter2"}"#, #"{"password": "***"}"#), ("password='x y'", "password='*** y'"),
        ("Authorization: token ghp_A", "Authorization: token ***"), ("x://u:p@ss@h/a@b", "x://u:***@h/a@b"),
        ("token={{ steps.a.b }}", "token={{ steps.a.b }}"),
    ]) func secretsWithinTexts(text: String, expected: String) {
        var scope = scope
        scope.variables["db"] = .map(["password": "hunter2", "user": "me"])
        let shown = Preview(scope).value(.string(text))
        #expect((shown.stringValue ?? JSONText.write(shown)) == expected)
    }

    @Test(arguments: [
        ("db_pass", true), ("X-Auth", true), ("private-key", true), ("bypass", false), ("author", false),
        ("passenger", false),
        ("accessToken", true),
    ]) func namesOfSecrets(name: String, isSecret: Bool) { #expect(Preview.isSecret(name) == isSecret) }

    @Test func aWordBehindAnOptionIsMasked() {
        let argv: Value = .list(["mysql", "--db-password", "hunter3", "--user", "me"])
        #expect(Preview(scope).value(argv) == .list(["mysql", "--db-password", "***", "--user", "me"]))
    }

    @Test func aTemplateThatIsCalledSeesWhatItIsGiven() {
        let outer = Preview(scope)
        let given: ValueMap = ["who": outer.value("{{ name }}"), "later": outer.value("{{ steps.a.b }}")]
        let inner = outer.inside(given, hiding: ["absent"])
        #expect(
            inner.value("{{ who }} {{ later }} {{ later | upper }} {{ absent }} {{ name }}")
                == "Ada {{ steps.a.b }} {{ later | upper }} {{ absent }} {{ name }}")
        #expect(outer.hiding(["name"]).value("{{ name | upper }}") == "{{ name | upper }}")
    }
}

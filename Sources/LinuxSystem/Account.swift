// What this is: another account of this host as whom programs are started and files are reached.
// Owns: its numbers, looked up when they are needed; the thread's own standing while it reaches files as somebody else.
// Never: changes the process: other threads stay who they are. Goes on as nobody knows whom.
// On failure: nil or SystemError; a thread that cannot become itself again ends the process.
import CLinux
import Glibc

public struct Account: Hashable, Sendable {
    public let uid: UInt32
    public let gid: UInt32
    public let groups: [UInt32]
    public let name: String
    public let home: String
    public let shell: String

    /// Nil where there is no such account.
    public init?(_ uid: UInt32) {
        guard let found = Host.account(uid) else { return nil }
        self.uid = uid
        gid = found.group
        groups = Host.groups(of: uid)
        name = found.name
        home = found.home
        shell = found.shell
    }

    /// Whether this process may act as others at all: as root, or with CAP_SETUID, CAP_SETGID and CAP_KILL.
    public static var maySwitch: Bool { bb_may_switch_accounts() != 0 }

    func withC<Out>(_ body: (UnsafePointer<bb_account>) -> Out) -> Out {
        groups.withUnsafeBufferPointer { groups in
            var account = bb_account(
                uid: uid, gid: gid, groups: groups.baseAddress, group_count: Int32(groups.count))
            return body(&account)
        }
    }

    // MARK: files

    private final class Standing {
        var account: Account?; init(_ account: Account?) { self.account = account }
    }
    /// As whom the current thread reaches files; nothing: as the process.
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()
    private static var current: Account? {
        pthread_getspecific(key).map { Unmanaged<Standing>.fromOpaque($0).takeUnretainedValue().account }
            ?? nil
    }

    /// `body` reaches files as this account, with its rights and no others; the files it makes are that account's.
    public func reachingFiles<Out, Failed: Error>(_ body: () throws(Failed) -> Out) throws(Failed) -> Out {
        let standing = Standing(self), before = pthread_getspecific(Account.key), other = Account.current
        Account.become(self)
        pthread_setspecific(Account.key, Unmanaged.passUnretained(standing).toOpaque())
        defer {
            pthread_setspecific(Account.key, before)
            Account.become(other)
            withExtendedLifetime(standing) {}
        }
        return try body()
    }
    /// Within `reachingFiles`: as the process itself, for what is its own business.
    public static func reachingOwnFiles<Out, Failed: Error>(_ body: () throws(Failed) -> Out) throws(Failed)
        -> Out
    {
        guard let account = current else { return try body() }
        let before = pthread_getspecific(key)
        become(nil)
        pthread_setspecific(key, nil)
        defer {
            pthread_setspecific(key, before)
            become(account)
        }
        return try body()
    }

    private static func become(_ account: Account?) {
        let outcome = account.map { $0.withC { bb_reach_files_as($0) } } ?? bb_reach_files_as(nil)
        guard outcome == 0 else {
            StandardError.write(
                "bobbin: stopped: a thread could not change the account as which it reaches files (\(-outcome))\n"
            )
            _exit(70)
        }
    }
}

// What this is: a terminal that is drawn on: each key at once, another screen than the one the shell had, its size.
// Owns: the settings of before, and that they come back.
// Never: draws on what is no terminal.
// On failure: what the terminal does not say (its size) is COLUMNS and LINES, else 80 by 24.
import Glibc
import LinuxSystem

struct RawTerminal {
    enum Key: Hashable { case up, down, pageUp, pageDown, enter, quit, letter(Character) }
    private let before: termios

    /// nil: standard input or output is no terminal.
    init?() {
        var settings = termios()
        guard isatty(0) == 1, isatty(1) == 1, tcgetattr(0, &settings) == 0 else { return nil }
        before = settings
    }

    static var size: (columns: Int, rows: Int) {
        var size = winsize()
        if ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 {
            return (Int(size.ws_col), Int(size.ws_row))
        }
        func number(_ name: String, _ otherwise: Int) -> Int {
            Host.environment(name).flatMap { Int($0) }.map { min(max($0, 4), 1000) } ?? otherwise
        }
        return (number("COLUMNS", 80), number("LINES", 24))
    }

    func enter() {
        var raw = before
        cfmakeraw(&raw)
        tcsetattr(0, TCSANOW, &raw)
        // The other screen, no cursor, no wrapping of long lines.
        write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l")
    }
    func leave() {
        write("\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l")
        var settings = before
        tcsetattr(0, TCSADRAIN, &settings)
    }
    /// Each line where it belongs; only what a line does not fill is emptied.
    func draw(_ lines: [String]) {
        var text = "\u{1B}[H"
        for (index, line) in lines.enumerated() {
            text += "\u{1B}[\(index + 1);1H" + "\u{1B}[K" + line
        }
        write(text)
    }
    private func write(_ text: String) {
        fflush(nil)
        StandardOutput.write(Array(text.utf8))
    }

    /// What was typed; `quit` also when nobody types any more.
    func keys() -> [Key] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(0, &bytes, bytes.count)
        // Interrupted by a signal: nothing was typed.
        guard count >= 0 else { return errno == EINTR ? [] : [.quit] }
        guard count > 0 else { return [.quit] }
        return RawTerminal.keys(bytes[..<count])
    }
    static func keys(_ bytes: ArraySlice<UInt8>) -> [Key] {
        var keys: [Key] = [], rest = bytes
        while let byte = rest.popFirst() {
            switch byte {
            case 0x1B:
                guard let kind = rest.first, kind == UInt8(ascii: "[") || kind == UInt8(ascii: "O") else {
                    continue
                }
                rest.removeFirst()
                var last = rest.popFirst()
                let first = last
                while let byte = last, (0x30...0x3F).contains(byte) { last = rest.popFirst() }
                switch (last, first) {
                case (UInt8(ascii: "A"), _): keys.append(.up)
                case (UInt8(ascii: "B"), _): keys.append(.down)
                case (UInt8(ascii: "~"), UInt8(ascii: "5")): keys.append(.pageUp)
                case (UInt8(ascii: "~"), UInt8(ascii: "6")): keys.append(.pageDown)
                default: continue
                }
            case 0x0D, 0x0A: keys.append(.enter)
            case 0x03, 0x04: keys.append(.quit)
            case 0x20...0x7E: keys.append(.letter(Character(UnicodeScalar(byte))))
            default: continue
            }
        }
        return keys
    }
}

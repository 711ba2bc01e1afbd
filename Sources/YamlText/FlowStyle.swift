// FlowStyle: the part of YamlEmitter that writes on one line.
// Owns: brackets, braces, and the looks of null, true/false and numbers.
// Never: writes a line break.
// On failure: cannot fail.
// Numbers read back as the same bits, but for the payload of a NaN.

extension YamlEmitter {
    /// A value on one line; `isNested` inside of brackets or braces.
    mutating func flow(_ value: YamlOut, isNested: Bool) {
        switch value {
        case .null: add("null")
        case .bool(let flag): add(flag ? "true" : "false")
        case .int(let number): integer(number)
        case .double(let number): double(number)
        case .string(let content): text(content, as: isNested ? TextStyle.flow : TextStyle.value)
        case .list(let items): flowList(items)
        case .map(let pairs): flowMap(pairs)
        case .flow(let inner): flow(inner, isNested: isNested)
        }
    }

    private mutating func flowList(_ items: [YamlOut]) {
        add(UInt8(ascii: "["))
        var isFirst = true
        for item in items {
            if !isFirst { add(", ") }
            isFirst = false
            flow(item, isNested: true)
        }
        add(UInt8(ascii: "]"))
    }

    private mutating func flowMap(_ pairs: [(String, YamlOut)]) {
        add(UInt8(ascii: "{"))
        var isFirst = true
        for (name, value) in pairs {
            if !isFirst { add(", ") }
            isFirst = false
            // A name of this length may pass the 1024 characters of a simple key when escaped.
            if name.utf8.count > 160 { add("? ") }
            text(name, as: TextStyle.flow)
            add(": ")
            flow(value, isNested: true)
        }
        add(UInt8(ascii: "}"))
    }

    private mutating func integer(_ number: Int) {
        if number < 0 { add(UInt8(ascii: "-")) }
        var rest = number.magnitude
        var scale: UInt = 1
        while rest / scale > 9 { scale *= 10 }
        while scale > 0 {
            add(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / scale))
            rest %= scale
            scale /= 10
        }
    }

    private mutating func double(_ number: Double) {
        if number.isNaN { return add(".nan") }
        if number.isInfinite { return add(number < 0 ? "-.inf" : ".inf") }
        var copy = number.description
        copy.withUTF8 { digits in
            // YAML 1.1 readers take 1e+20 for text, and 1.0e+20 for the number.
            guard let mark = digits.firstIndex(of: UInt8(ascii: "e")), !digits.contains(UInt8(ascii: "."))
            else {
                return add(digits)
            }
            add(UnsafeBufferPointer(rebasing: digits[..<mark]))
            add(".0")
            add(UnsafeBufferPointer(rebasing: digits[mark...]))
        }
    }
}

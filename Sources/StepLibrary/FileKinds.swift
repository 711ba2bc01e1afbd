// What this is: the kinds of files a query may ask for, by the ending of the name.
// Owns: the table.
// Never: looks into a file.
// On failure: an unknown kind is for FileQuery to report.

enum FileKinds {
    static let endings: [(kind: String, endings: Set<String>)] = [
        ("pdf", ["pdf"]),
        (
            "image",
            ["jpg", "jpeg", "png", "gif", "webp", "tif", "tiff", "bmp", "svg", "heic", "avif", "ico", "psd"]
        ),
        ("video", ["mp4", "mkv", "mov", "avi", "webm", "mpg", "mpeg", "m4v", "wmv", "flv", "ogv"]),
        ("audio", ["mp3", "wav", "flac", "ogg", "oga", "opus", "m4a", "aac", "wma", "aiff"]),
        (
            "text",
            ["txt", "md", "rst", "log", "csv", "tsv", "json", "yaml", "yml", "xml", "ini", "conf", "toml"]
        ),
        ("document", ["doc", "docx", "odt", "rtf", "pdf", "tex", "epub", "pages", "ppt", "pptx", "odp"]),
        ("spreadsheet", ["xls", "xlsx", "xlsm", "ods", "csv", "tsv", "numbers"]),
        (
            "archive",
            ["zip", "tar", "gz", "tgz", "bz2", "tbz2", "xz", "txz", "zst", "7z", "rar", "jar", "cpio"]
        ),
        (
            "code",
            [
                "swift", "c", "h", "cc", "cpp", "hpp", "m", "rs", "go", "py", "rb", "pl", "php", "js", "mjs",
                "ts", "tsx",
                "jsx", "java", "kt", "cs", "scala", "lua", "sh", "bash", "zsh", "sql", "html", "css", "r",
                "jl",
            ]
        ),
    ]
    static var names: [String] { endings.map(\.kind) }
    static func endings(of kind: String) -> Set<String>? { endings.first { $0.kind == kind }?.endings }
}

// swift-tools-version: 6.2
// What this is: the targets of the house and who may import whom (docs/ARCHITECTURE.md has the picture).
// Owns: the dependency table. Tests/HouseTests reads the sources and holds the same table.
// Never: names a package without its reason in docs/decisions/0002-dependencies.md.
// On failure: the build stops; a missing system library is installed by ./ops/quickstart or ./ops/test.
import Foundation
import PackageDescription

let house: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: house)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: house)
}

let package = Package(
    name: "bobbin",
    products: [.executable(name: "bobbin", targets: ["bobbin"])],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        .target(name: "CLinux"),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        room("JobModel"),
        room("LinuxSystem", ["CLinux"]),
        room("YamlText", ["CYaml"]),
        room("JobLanguage", ["JobModel", "YamlText", crypto]),
        room("SpoolQueue", ["JobModel", "LinuxSystem"]),
        room("RunJournal", ["JobModel", "LinuxSystem"]),
        room("RunEngine", ["JobModel", "JobLanguage", "LinuxSystem"]),
        room("StepLibrary", ["JobModel", "LinuxSystem", crypto]),
        room("SecretStore", ["JobModel", "LinuxSystem", crypto, cryptoExtras]),
        room("AccessControl", ["JobModel", "LinuxSystem", crypto]),
        room("Triggers", ["JobModel", "LinuxSystem", crypto]),
        room("Archives", ["LinuxSystem", "CArchive"]),
        room(
            "Bundles",
            ["JobModel", "LinuxSystem", "Archives", "AccessControl", "SecretStore", crypto]),
        room("Databases", ["JobModel", grdb, sqlite]),
        room("RunHistory", ["JobModel", grdb]),
        room("Reporting", ["JobModel"]),
        room(
            "BobbinDaemon",
            [
                "JobModel", "LinuxSystem", "YamlText", "JobLanguage", "SpoolQueue", "RunJournal", "RunEngine",
                "StepLibrary", "AccessControl", "SecretStore", "Archives", "Databases", "RunHistory",
                "Triggers", "Reporting", "Bundles",
                crypto,
            ]),
        .executableTarget(
            name: "bobbin",
            dependencies: [
                "BobbinDaemon", "JobModel", "YamlText", "JobLanguage", "SpoolQueue", "RunJournal",
                "RunHistory", "AccessControl", "SecretStore", "Triggers", "Reporting", "Bundles",
                "Archives", "LinuxSystem",
                argumentParser,
            ],
            swiftSettings: house),
        .target(
            name: "TestKit", dependencies: ["JobModel", "LinuxSystem"], path: "Tests/TestKit",
            swiftSettings: house),
        tests("HouseTests"),
        tests("JobModelTests", ["JobModel", "TestKit"]),
        tests("LinuxSystemTests", ["LinuxSystem", "TestKit"]),
        tests("YamlTextTests", ["YamlText", "TestKit"]),
        tests("JobLanguageTests", ["JobLanguage", "JobModel", "YamlText", "TestKit"]),
        tests("SpoolQueueTests", ["SpoolQueue", "JobModel", "LinuxSystem", "TestKit"]),
        tests("RunJournalTests", ["RunJournal", "JobModel", "LinuxSystem", "TestKit"]),
        tests(
            "RunEngineTests",
            ["RunEngine", "JobLanguage", "JobModel", "LinuxSystem", "StepLibrary", "TestKit"]),
        tests(
            "StepLibraryTests",
            ["StepLibrary", "BobbinDaemon", "Archives", "JobModel", "LinuxSystem", crypto]),
        tests("SecretStoreTests", ["SecretStore", "JobModel", "LinuxSystem", "TestKit", crypto]),
        tests("AccessControlTests", ["AccessControl", "JobModel", "LinuxSystem", "TestKit"]),
        tests("ArchivesTests", ["Archives", "LinuxSystem"]),
        tests(
            "BundlesTests",
            [
                "Bundles", "AccessControl", "Archives", "JobModel", "LinuxSystem", "SecretStore",
                "TestKit",
            ]),
        tests("TriggersTests", ["Triggers", "JobModel", "LinuxSystem", "TestKit", crypto]),
        tests("RunHistoryTests", ["RunHistory", "JobModel"]),
        tests("ReportingTests", ["Reporting", "JobModel", "TestKit"]),
        tests(
            "BobbinDaemonTests",
            [
                "BobbinDaemon", "AccessControl", "JobLanguage", "RunHistory", "RunJournal", "JobModel",
                "LinuxSystem",
                "SpoolQueue", "TestKit", "Triggers", "YamlText",
            ]),
        tests("EndToEndTests", ["Bundles", "JobModel", "LinuxSystem", "YamlText"], exclude: ["Shared"]),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzz targets need the fuzzer's main and its counters in every room, and the seam that records and strikes, which no
// other optimized build has: only ops/fuzz builds them.
if ProcessInfo.processInfo.environment["BOBBIN_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "BobbinDaemon", "JobModel", "LinuxSystem", "YamlText", "JobLanguage", "SpoolQueue",
                "RunJournal", "TestKit", "Triggers",
            ],
            path: "Tests/Fuzz", exclude: ["corpus", "words.dict"],
            swiftSettings: house + [.unsafeFlags(["-parse-as-library"])]))
    for target in package.targets where target.name == "LinuxSystem" {
        target.swiftSettings = house + [.define("SEAM")]
    }
}

// What this is: what is wrong with the files of ops/ beside the configuration: triggers, alerts, kinds of failures, bundles.
// Owns: which files these are.
// Never: reads the configuration itself, or who may do what: those are told of elsewhere.
// On failure: a file that cannot be read is a problem like any other.

public enum RuleFiles {
    /// Each as it is shown.
    public static func problems(_ site: Site) -> [String] {
        // A configuration that has errors or cannot be read is told of elsewhere; without its queues nothing else can be judged.
        guard let queues = try? site.configuration().queues else { return [] }
        var problems: [String] = []
        func look(_ path: String, _ read: () throws -> Void) {
            do { try read() } catch let problem as ConfigurationProblem {
                problems.append(problem.text)
            } catch {
                problems.append("\(path) cannot be read: \(error)")
            }
        }
        look(ScheduleFile.path) {
            _ = try ScheduleFile.read(ScheduleFile.bytes(site), queues: queues, spool: site.spool.id)
        }
        look(WatcherFile.path) {
            _ = try WatcherFile.read(WatcherFile.bytes(site), queues: queues, site: site.path)
        }
        look(WebhookFile.path) { _ = try WebhookFile.read(WebhookFile.bytes(site), queues: queues) }
        look(AlertFile.path) { _ = try AlertFile.read(AlertFile.bytes(site), queues: queues) }
        look("ops/\(FailureRuleFile.name)") { _ = try FailureRuleFile.rules(site) }
        look(BackupFile.path) { _ = try BackupFile.read(site) }
        look(RetentionFile.path) { _ = try RetentionFile.read(site) }
        return problems
    }
}

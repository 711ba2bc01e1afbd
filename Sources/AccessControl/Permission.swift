// What this is: the rights of guide 000 and the role from which on somebody has each.
// Owns: the table.
// Never: knows who has which role.
// On failure: a word that names no right gives nil.
import JobModel

public enum Permission: String, Sendable, CaseIterable {
    case readRuns = "read_runs", readMetrics = "read_metrics", readDashboard = "read_dashboard"
    case createRuns = "create_runs", executeTemplates = "execute_templates"
    case writeRuns = "write_runs", stopRuns = "stop_runs", approveRuns = "approve_runs"
    case manageTemplates = "manage_templates", manageSchedules = "manage_schedules"
    case respondHITL = "respond_hitl", deleteRuns = "delete_runs"
    case manageUsers = "manage_users", manageRBAC = "manage_rbac", manageSecrets = "manage_secrets"
    case manageSystem = "manage_system", viewAuditLog = "view_audit_log"
    case manageQueues = "manage_queues", pauseQueues = "pause_queues"

    public var role: Role {
        switch self {
        case .readRuns, .readMetrics, .readDashboard: .viewer
        case .createRuns, .executeTemplates: .runner
        case .writeRuns, .stopRuns, .approveRuns, .manageTemplates, .manageSchedules, .respondHITL,
            .deleteRuns:
            .editor
        case .manageUsers, .manageRBAC, .manageSecrets, .manageSystem, .viewAuditLog, .manageQueues,
            .pauseQueues:
            .admin
        }
    }
}

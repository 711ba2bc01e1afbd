// What this is: the rule for steps that see or move everybody's files: they are the site's own.
// Owns: that refusal.
// Never: asks who somebody is: the context knows for whom it acts.
// On failure: E-ACCESS.
import JobModel

extension StepContext {
    /// `why`: what the step has to do with everybody.
    func checkIsSiteOwn(_ why: String) throws(Failure) {
        guard actsForAnother else { return }
        throw Failure(
            "E-ACCESS", "\(why), and this step acts for one of them",
            whatToDo: "let a schedule of the site drop this job", retry: .never)
    }
}

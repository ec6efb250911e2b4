/// What this build of the workers and of the tool is.
public enum Version {
    public static let text = "0.1.0"
}

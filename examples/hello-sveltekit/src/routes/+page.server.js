import version from "../../VERSION?raw";

export const load = () => ({ version: version.trim() });

// Payloads that are shared libraries: a launcher (guest/launcher) is executed in their place, loads them, and calls AVmPayload_main().
#pragma once

namespace adyton::guest {

inline constexpr char kLauncherPath[] = "/lib/adyton/launcher";  // in the payload's root; its first argument is the library

// What the launcher says to init, on a pipe, once: kLaunched when the entry is about to run, else one sentence that says why it
// does not.
inline constexpr int kLaunchPipe = 3;  // the launcher's descriptor
inline constexpr char kLaunched = '+';

// In the environment of such a payload: the path of the library.
inline constexpr char kLibraryVariable[] = "ADYTON_PAYLOAD_LIBRARY";

}  // namespace adyton::guest

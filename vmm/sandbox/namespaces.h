// Namespaces of the process's own (namespaces(7)): users, mounts, network, System V IPC and host name.
#pragma once
#include "vmm/sandbox/report.h"

namespace adyton::vmm::sandbox {

inline constexpr const char* kMountNamespace = "mount namespace";

// Enters each one that the host permits, and says so. The process has one thread and is dumpable (its /proc files must be its
// own).
void enter_namespaces(Report& report);

}  // namespace adyton::vmm::sandbox

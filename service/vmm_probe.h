// Asks an adyton-vmm what it can do here.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "service/event_loop.h"
#include "vmm/control/protocol.h"

namespace adyton::service {

// Starts `program` for the question alone. `done` is called once, on the loop. On the event loop.
void probe_vmm(EventLoop& loop, const std::string& program, std::function<void(Result<vmm::control::Description>)> done,
               EventLoop::Clock::duration patience = std::chrono::seconds(10));

}  // namespace adyton::service

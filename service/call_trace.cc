#include "service/call_trace.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "observe/trace_record.h"

namespace adyton::service {

Result<UniqueFd> CallTrace::start(int memory) {
  auto ring = TRY(observe::RecordRing::map(memory));
  auto wake = TRY(observe::make_wake_pair());
  const std::lock_guard lock(mutex_);
  look();
  if (session_) return fail(ErrorCode::kExhausted, "the calls about the virtual machine are being traced already");
  session_ = std::make_unique<Session>(std::move(ring), std::move(wake.writer));
  running_ = true;
  return std::move(wake.reader);
}

void CallTrace::look() {
  if (!session_) return;
  pollfd reader{.fd = session_->wake.get(), .events = POLLRDHUP, .revents = 0};
  if (::poll(&reader, 1, 0) <= 0) return;
  running_ = false;
  session_.reset();
}

void CallTrace::write(const Call& call) {
  const std::string method(call.method.empty() ? std::string_view("other") : call.method);
  std::string name = fmt::format("{}.{}", std::string_view(call.interface).substr(call.interface.rfind('.') + 1), method);
  name.resize(std::min(name.size(), observe::kMaxTraceCallName));
  const observe::TraceCall start{
      .begin = call.begin, .succeeded = call.succeeded, .oneway = call.oneway, .from_guest = call.from_guest, .reserved = 0};
  const std::lock_guard lock(mutex_);
  look();
  if (!session_) return;
  uint8_t* const place =
      session_->writer.begin(static_cast<uint32_t>(observe::TraceType::kCall), call.end, sizeof(start) + name.size());
  if (place == nullptr) return;
  std::memcpy(place, &start, sizeof(start));
  std::memcpy(place + sizeof(start), name.data(), name.size());
  session_->writer.commit();
}

}  // namespace adyton::service

#include "tests/e2e/vmm_client.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace adyton::e2e {

namespace control = vmm::control;

Result<Answer> VmmClient::ask(decltype(control::Request::body) body, std::span<const int> fds) {
  const std::string text = TRY(control::encode(control::Request{.id = ++id_, .body = std::move(body)}));
  TRY(socket_.send(text, fds));
  for (;;) {
    control::Packet packet = TRY(socket_.receive());
    control::Event event = TRY(control::decode_event(packet.text, packet.fds.size()));
    if (std::holds_alternative<control::Ended>(event)) return fail(ErrorCode::kInternal, packet.text);
    const auto* reply = std::get_if<control::Reply>(&event);
    if (reply != nullptr && reply->error) return fail(ErrorCode::kInternal, reply->error->message);
    const bool answers = reply != nullptr || std::holds_alternative<control::Description>(event) ||
                         std::holds_alternative<control::Statistics>(event);
    if (answers) return Answer{std::move(event), std::move(packet.fds)};
    std::ranges::move(packet.fds, std::back_inserter(streams_));
  }
}

}  // namespace adyton::e2e

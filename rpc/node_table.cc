#include "rpc/node_table.h"

#include <algorithm>
#include <limits>

namespace adyton::rpc {

uint64_t NodeTable::send_local(const std::shared_ptr<Binder>& object) {
  if (const auto known = local_addresses_.find(object.get()); known != local_addresses_.end()) {
    Node& node = nodes_.at(known->second);
    ++node.times_sent;
    node.sent = object;
    return known->second;
  }
  const uint32_t options = wire::kAddressCreated | (side_ == Side::kServer ? wire::kAddressForServer : 0);
  for (;;) {
    // The numbers may come round: with at most 100,000 nodes one is soon found that is free.
    const uint64_t address = wire::address(options, next_number_++);
    const auto [at, inserted] = nodes_.try_emplace(address);
    if (!inserted) continue;
    Node& node = at->second;
    node.object = object;
    node.identity = object.get();
    node.local = true;
    node.times_sent = 1;
    node.sent = object;
    local_addresses_.emplace(object.get(), address);
    return address;
  }
}

bool NodeTable::send_remote(uint64_t address) {
  const auto at = nodes_.find(address);
  if (at == nodes_.end()) return false;
  ++at->second.times_sent;
  return true;
}

std::optional<uint64_t> NodeTable::next_async_number(uint64_t address) {
  const auto at = nodes_.find(address);
  if (at == nodes_.end() || at->second.async_number == std::numeric_limits<uint64_t>::max()) return std::nullopt;
  return at->second.async_number++;
}

std::expected<std::shared_ptr<Binder>, TransportError> NodeTable::receive(uint64_t address, const MakeProxy& make_proxy) {
  const uint32_t options = wire::address_options(address);
  if ((options & ~(wire::kAddressCreated | wire::kAddressForServer)) != 0 || (options & wire::kAddressCreated) == 0) {
    return std::unexpected(TransportError::kBadValue);
  }
  const bool made_by_server = (options & wire::kAddressForServer) != 0;
  auto at = nodes_.find(address);
  if (at == nodes_.end()) {
    if (made_by_server == (side_ == Side::kServer)) return std::unexpected(TransportError::kBadValue);
    if (!has_room_for(1)) return std::unexpected(TransportError::kNoMemory);
    at = nodes_.try_emplace(address).first;
    at->second.async_number = recall_number(address);
  }
  Node& node = at->second;
  auto object = node.object.lock();
  if (!object) {
    // For one of theirs: the first time, or another thread is just dropping the last reference to the proxy that was.
    if (node.local) return std::unexpected(TransportError::kBadValue);
    object = make_proxy(address);
    if (!node.identity) ++proxies_;
    node.object = object;
    node.identity = object.get();
  }
  ++node.times_received;
  return object;
}

std::shared_ptr<Binder> NodeTable::receive_target(uint64_t address) {
  const auto at = nodes_.find(address);
  if (at == nodes_.end() || !at->second.local) return nullptr;
  auto object = at->second.object.lock();
  if (object) ++at->second.times_received;
  return object;
}

std::pair<uint32_t, NodeTable::Released> NodeTable::give_back(uint64_t address) {
  const auto at = nodes_.find(address);
  if (at == nodes_.end()) return {};
  Node& node = at->second;
  const auto amount = static_cast<uint32_t>(std::min<uint64_t>(node.times_received, std::numeric_limits<uint32_t>::max()));
  node.times_received -= amount;
  return {amount, forget_if_unused(at)};
}

std::pair<uint32_t, NodeTable::Released> NodeTable::proxy_is_gone(uint64_t address, const Binder* proxy) {
  const auto at = nodes_.find(address);
  if (at == nodes_.end() || at->second.identity != proxy) return {};
  --proxies_;
  at->second.identity = nullptr;
  // While it is on its way to the peer, as the target of a call or in one, the peer must not forget it.
  if (at->second.times_sent > 0) return {};
  return give_back(address);
}

NodeTable::Released NodeTable::drop_sent(uint64_t address, uint32_t amount) {
  const auto at = nodes_.find(address);
  if (at == nodes_.end() || amount > at->second.times_sent) return {};
  at->second.times_sent -= amount;
  if (at->second.times_sent > 0 || at->second.local || at->second.identity) return forget_if_unused(at);
  auto [given_back, released] = give_back(address);
  released.give_back = given_back;
  return std::move(released);
}

NodeTable::Released NodeTable::forget_if_unused(Nodes::iterator at) {
  Released released;
  Node& node = at->second;
  if (node.times_sent != 0) return released;
  released.object = std::move(node.sent);
  if (node.times_received != 0) return released;
  for (const auto& [number, call] : node.queue) queued_bytes_ -= call.data.bytes().size();
  released.calls = std::move(node.queue);
  if (node.local) local_addresses_.erase(node.identity);
  if (!node.local && node.async_number > 0) remember_number(at->first, node.async_number);
  nodes_.erase(at);
  released.table_is_empty = nodes_.empty();
  return released;
}

void NodeTable::remember_number(uint64_t address, uint64_t number) {
  last_numbers_.push_back({address, number});
  remembered_[address] = std::prev(last_numbers_.end());
  if (last_numbers_.size() <= kRemembered) return;
  remembered_.erase(last_numbers_.front().address);
  last_numbers_.pop_front();
}

uint64_t NodeTable::recall_number(uint64_t address) {
  const auto found = remembered_.find(address);
  if (found == remembered_.end()) return 0;
  const uint64_t number = found->second->number;
  last_numbers_.erase(found->second);
  remembered_.erase(found);
  return number;
}

NodeTable::Turn NodeTable::offer_oneway(OnewayCall& call) {
  const auto at = nodes_.find(call.address);
  if (at == nodes_.end()) return Turn::kViolation;
  Node& node = at->second;
  if (call.number < node.async_number || (call.number == node.async_number && node.oneway_runs)) return Turn::kViolation;
  if (call.number == node.async_number) {
    node.oneway_runs = true;
    return Turn::kNow;
  }
  const size_t size = call.data.bytes().size();
  if (node.queue.size() + 1 >= limits_.queued_calls || queued_bytes_ + size > limits_.queued_bytes) return Turn::kViolation;
  const uint64_t number = call.number;
  if (!node.queue.try_emplace(number, std::move(call)).second) return Turn::kViolation;
  queued_bytes_ += size;
  return Turn::kLater;
}

std::optional<NodeTable::OnewayCall> NodeTable::finish_oneway(uint64_t address) {
  const auto at = nodes_.find(address);
  if (at == nodes_.end()) return std::nullopt;
  Node& node = at->second;
  node.oneway_runs = false;
  if (node.async_number == std::numeric_limits<uint64_t>::max()) return std::nullopt;
  ++node.async_number;
  const auto next = node.queue.begin();
  if (next == node.queue.end() || next->first != node.async_number) return std::nullopt;
  std::optional<OnewayCall> call(std::move(next->second));
  node.queue.erase(next);
  queued_bytes_ -= call->data.bytes().size();
  node.oneway_runs = true;
  return call;
}

std::pair<uint64_t, uint64_t> NodeTable::counts(uint64_t address) const {
  const auto at = nodes_.find(address);
  if (at == nodes_.end()) return {};
  return {at->second.times_sent, at->second.times_received};
}

NodeTable::Remains NodeTable::clear() {
  Remains remains;
  for (auto& [address, node] : nodes_) {
    if (node.sent) remains.objects.push_back(std::move(node.sent));
    if (!node.local) {
      if (auto proxy = node.object.lock()) remains.proxies.push_back(std::move(proxy));
    }
    for (auto& [number, call] : node.queue) remains.calls.push_back(std::move(call));
  }
  nodes_.clear();
  local_addresses_.clear();
  queued_bytes_ = 0;
  proxies_ = 0;
  return remains;
}

}  // namespace adyton::rpc

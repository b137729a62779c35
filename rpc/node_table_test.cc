#include "rpc/node_table.h"

#include <gtest/gtest.h>

#include "rpc/testing/rpc_testing.h"

namespace adyton::rpc {
namespace {

using testing::TestService;

std::shared_ptr<Binder> make_object() { return std::make_shared<TestService>(); }

// A local object plays the proxy: the table does not look inside.
std::shared_ptr<Binder> make_proxy(uint64_t) { return make_object(); }

constexpr uint64_t kTheirs = wire::address(wire::kAddressCreated, 7);  // seen from a server

NodeTable::OnewayCall oneway(uint64_t address, uint64_t number) {
  NodeTable::OnewayCall call;
  call.address = address;
  call.number = number;
  call.data.write_int32(0);
  return call;
}

TEST(NodeTable, AddressesSayWhoMadeThem) {
  NodeTable server(Side::kServer, {});
  NodeTable client(Side::kClient, {});
  const auto a = make_object();
  const auto b = make_object();
  EXPECT_EQ(server.send_local(a), 0x0000'0000'0000'0003u);
  EXPECT_EQ(server.send_local(b), 0x0000'0001'0000'0003u);
  EXPECT_EQ(server.send_local(a), 0x0000'0000'0000'0003u);
  EXPECT_EQ(client.send_local(a), 0x0000'0000'0000'0001u);
}

TEST(NodeTable, AnObjectIsKeptWhileThePeerHoldsIt) {
  NodeTable table(Side::kServer, {});
  auto object = make_object();
  const std::weak_ptr<Binder> weak = object;
  const uint64_t address = table.send_local(object);
  table.send_local(object);
  object.reset();
  EXPECT_FALSE(weak.expired());
  EXPECT_FALSE(table.drop_sent(address, 1).table_is_empty);
  EXPECT_FALSE(weak.expired());
  EXPECT_TRUE(table.drop_sent(address, 1).table_is_empty);
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(table.size(), 0u);
}

TEST(NodeTable, NotMoreIsDroppedThanWasSent) {
  NodeTable table(Side::kServer, {});
  const auto object = make_object();
  const uint64_t address = table.send_local(object);
  table.drop_sent(address, 2);
  table.drop_sent(address + (1ULL << 32), 1);
  EXPECT_EQ(table.counts(address), std::pair(uint64_t{1}, uint64_t{0}));
}

TEST(NodeTable, TheSameAddressIsTheSameProxy) {
  NodeTable table(Side::kServer, {});
  const auto proxy = table.receive(kTheirs, make_proxy);
  ASSERT_TRUE(proxy);
  EXPECT_EQ(*table.receive(kTheirs, make_proxy), *proxy);
  const auto [amount, released] = table.proxy_is_gone(kTheirs, proxy->get());
  EXPECT_EQ(amount, 2u);
  EXPECT_TRUE(released.table_is_empty);
}

TEST(NodeTable, AProxyThatIsReplacedGivesNothingBack) {
  NodeTable table(Side::kServer, {});
  table.receive(kTheirs, make_proxy);  // and nobody keeps it
  const auto second = *table.receive(kTheirs, make_proxy);
  const auto stranger = make_object();
  EXPECT_EQ(table.proxy_is_gone(kTheirs, stranger.get()).first, 0u);
  EXPECT_EQ(table.proxy_is_gone(kTheirs, second.get()).first, 2u);
}

TEST(NodeTable, AddressesThatAPeerMustNotUse) {
  NodeTable table(Side::kServer, {});
  EXPECT_EQ(table.receive(0, make_proxy).error(), TransportError::kBadValue);
  EXPECT_EQ(table.receive(wire::address(wire::kAddressCreated | 4, 1), make_proxy).error(), TransportError::kBadValue);
  EXPECT_EQ(table.receive(wire::address(0, 1), make_proxy).error(), TransportError::kBadValue);
  // One that we should have made.
  EXPECT_EQ(table.receive(wire::address(wire::kAddressCreated | wire::kAddressForServer, 1), make_proxy).error(),
            TransportError::kBadValue);
  NodeTable client(Side::kClient, {});
  EXPECT_EQ(client.receive(wire::address(wire::kAddressCreated, 1), make_proxy).error(), TransportError::kBadValue);
  EXPECT_TRUE(client.receive(wire::address(wire::kAddressCreated | wire::kAddressForServer, 1), make_proxy));
}

TEST(NodeTable, HoldsAsManyNodesAsItMay) {
  NodeTable table(Side::kServer, {.nodes = 2});
  const auto a = make_object();
  table.send_local(a);
  EXPECT_TRUE(table.has_room_for(1));
  const auto proxy = table.receive(kTheirs, make_proxy);
  EXPECT_TRUE(proxy);
  EXPECT_FALSE(table.has_room_for(1));
  EXPECT_EQ(table.receive(kTheirs + (1ULL << 32), make_proxy).error(), TransportError::kNoMemory);
}

TEST(NodeTable, TargetsAreOurs) {
  NodeTable table(Side::kServer, {});
  const auto object = make_object();
  const uint64_t address = table.send_local(object);
  EXPECT_EQ(table.receive_target(address), object);
  EXPECT_EQ(table.counts(address), std::pair(uint64_t{1}, uint64_t{1}));
  EXPECT_EQ(table.give_back(address).first, 1u);
  EXPECT_EQ(table.receive_target(kTheirs), nullptr);
  const auto proxy = table.receive(kTheirs, make_proxy);
  EXPECT_EQ(table.receive_target(kTheirs), nullptr);
}

TEST(NodeTable, OnewayCallsWaitForTheirTurn) {
  NodeTable table(Side::kServer, {});
  const auto object = make_object();
  const uint64_t address = table.send_local(object);
  const auto offer = [&](uint64_t number) {
    auto call = oneway(address, number);
    return table.offer_oneway(call);
  };
  EXPECT_EQ(offer(2), NodeTable::Turn::kLater);
  EXPECT_EQ(offer(1), NodeTable::Turn::kLater);
  EXPECT_EQ(table.queued_bytes(), 8u);
  EXPECT_EQ(offer(0), NodeTable::Turn::kNow);
  EXPECT_EQ(offer(0), NodeTable::Turn::kViolation);
  EXPECT_EQ(offer(1), NodeTable::Turn::kViolation);
  auto next = table.finish_oneway(address);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->number, 1u);
  next = table.finish_oneway(address);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->number, 2u);
  EXPECT_FALSE(table.finish_oneway(address));
  EXPECT_EQ(table.queued_bytes(), 0u);
  EXPECT_EQ(offer(2), NodeTable::Turn::kViolation);
  EXPECT_EQ(offer(3), NodeTable::Turn::kNow);
}

TEST(NodeTable, NotTooManyOnewayCallsWait) {
  NodeTable table(Side::kServer, {.queued_calls = 3});
  const auto object = make_object();
  const uint64_t address = table.send_local(object);
  for (const uint64_t number : {5, 6}) {
    auto call = oneway(address, number);
    EXPECT_EQ(table.offer_oneway(call), NodeTable::Turn::kLater);
  }
  auto call = oneway(address, 7);
  EXPECT_EQ(table.offer_oneway(call), NodeTable::Turn::kViolation);

  NodeTable small(Side::kServer, {.queued_bytes = 7});
  const uint64_t other = small.send_local(object);
  auto first = oneway(other, 1);
  EXPECT_EQ(small.offer_oneway(first), NodeTable::Turn::kLater);
  auto second = oneway(other, 2);
  EXPECT_EQ(small.offer_oneway(second), NodeTable::Turn::kViolation);
}

TEST(NodeTable, CallsAreNumberedByTarget) {
  NodeTable table(Side::kServer, {});
  const auto proxy = table.receive(kTheirs, make_proxy);
  const auto other = table.receive(kTheirs + (1ULL << 32), make_proxy);
  EXPECT_EQ(table.next_async_number(kTheirs), 0u);
  EXPECT_EQ(table.next_async_number(kTheirs), 1u);
  EXPECT_EQ(table.next_async_number(kTheirs + (1ULL << 32)), 0u);
  EXPECT_EQ(table.next_async_number(1), std::nullopt);
}

// The peer sends one of its objects again just as we let go of it: for the peer it has been there all the time.
TEST(NodeTable, NumbersGoOnWhenAnObjectComesBack) {
  NodeTable table(Side::kServer, {});
  auto proxy = *table.receive(kTheirs, make_proxy);
  EXPECT_EQ(table.next_async_number(kTheirs), 0u);
  EXPECT_TRUE(table.proxy_is_gone(kTheirs, proxy.get()).second.table_is_empty);
  proxy = *table.receive(kTheirs, make_proxy);
  EXPECT_EQ(table.next_async_number(kTheirs), 1u);
  table.proxy_is_gone(kTheirs, proxy.get());
  // Not for ever: a bounded number of them is remembered.
  for (uint64_t i = 1; i <= 5000; ++i) {
    const auto other = *table.receive(kTheirs + (i << 32), make_proxy);
    table.next_async_number(kTheirs + (i << 32));
    table.proxy_is_gone(kTheirs + (i << 32), other.get());
  }
  proxy = *table.receive(kTheirs, make_proxy);
  EXPECT_EQ(table.next_async_number(kTheirs), 0u);
}

TEST(NodeTable, ClearTakesAllOut) {
  NodeTable table(Side::kServer, {});
  const auto object = make_object();
  const uint64_t address = table.send_local(object);
  const auto proxy = *table.receive(kTheirs, make_proxy);
  auto call = oneway(address, 1);
  table.offer_oneway(call);
  const auto remains = table.clear();
  EXPECT_EQ(remains.objects.size(), 1u);
  EXPECT_EQ(remains.proxies.size(), 1u);
  EXPECT_EQ(remains.calls.size(), 1u);
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace adyton::rpc

// The tests of generated C++ with code for the Android NDK in between: the calls of our proxy are served by an NDK stub, which
// passes them to an NDK proxy, which calls our stub. Whatever one of the four says that another does not understand, fails.
#include <gtest/gtest.h>

#include "aidl/com/example/kitchen/BnKitchen.h"
#include "aidl/com/example/kitchen/BpKitchen.h"
#include "rpc/aidl/cpp/kitchen_fixture.h"
#include "rpc/ndk/aibinder.h"

namespace com::example::kitchen {

std::shared_ptr<Binder> through_ndk(const std::shared_ptr<Binder>& service) {
  using namespace ::aidl::com::example::kitchen;
  const ndk::SpAIBinder object(adyton::rpc::ndk_object_of(service));
  const auto proxy = ::aidl::com::example::kitchen::IKitchen::fromBinder(object);
  if (!proxy) return nullptr;
  const auto stub = ndk::SharedRefBase::make<IKitchenDelegator>(proxy);
  return adyton::rpc::binder_of(stub->asBinder().get());
}

constexpr Road kRoads[] = {{"Ndk", false, through_ndk}, {"NdkSession", true, through_ndk}};
INSTANTIATE_TEST_SUITE_P(Roads, GeneratedTest, ::testing::ValuesIn(kRoads), road_name);
INSTANTIATE_TEST_SUITE_P(Roads, HostileTest, ::testing::ValuesIn(kRoads), road_name);

}  // namespace com::example::kitchen

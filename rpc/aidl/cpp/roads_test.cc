// The tests of generated C++ with nothing but itself at both ends.
#include <gtest/gtest.h>

#include "rpc/aidl/cpp/kitchen_fixture.h"

namespace com::example::kitchen {

constexpr Road kRoads[] = {{"SameProcess", false}, {"Session", true}};
INSTANTIATE_TEST_SUITE_P(Roads, GeneratedTest, ::testing::ValuesIn(kRoads), road_name);
INSTANTIATE_TEST_SUITE_P(Roads, HostileTest, ::testing::ValuesIn(kRoads), road_name);

}  // namespace com::example::kitchen

package org.shapes;
@VintfStability
union Shape {
  Circle circle;
  int[] points = {1, 2};
  @nullable String name;
  const String KIND = "shape";
  @Backing(type="long") enum Unit { MM = 1, KM = 1000000L * MM, LIGHT_YEAR = 9460730472580800 * 100 }
  parcelable Circle { double radius = 1.0; Unit unit = Unit.MM; }
}

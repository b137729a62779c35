package com.example.menu;

/** A list that holds itself. */
parcelable Recipe {
    String step;
    @nullable(heap=true) Recipe before;
    List<Recipe> parts;
}

package org.shapes;
parcelable Empty {}
